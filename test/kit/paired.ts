import type { Box } from "./box.ts";

/** Compiled instances that are paired with each other, each by its operator's record. */

export interface Paired {
  did: string;
  url: string;
}

export async function whoIs(box: Box): Promise<Paired> {
  const { instance_did, url } = await box.json<{ instance_did: string; url: string }>("status");
  return { did: instance_did, url };
}

/** Writes on both sides that they are paired. */
export async function pairBoxes(a: Box, b: Box, more: object = {}): Promise<void> {
  for (const [self, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const { did } = await whoIs(self);
    const { did: peer_did, url } = await whoIs(other);
    await writePair(self, did, { peer_did, url, state: "active" });
    if (Object.keys(more).length > 0) await changeBoxPair(self, peer_did, more);
  }
}

/** Changes the pair that a box has with a peer. */
export async function changeBoxPair(box: Box, peer: string, change: object): Promise<void> {
  const pairs = await box.json<{ id: string; peer_did: string }[]>("federation", "list");
  const { id } = pairs.find(({ peer_did }) => peer_did === peer)!;
  await writePair(box, (await whoIs(box)).did, { pair: id, ...change });
}

export async function writePair(box: Box, actor: string, body: object): Promise<void> {
  const record = { thread: "th_federation_pairs", actor, act: "LEARN", body: { topic: "pair", ...body } };
  await box.emit([record]);
}

/** How a sync went, as `spl sync -o json` tells. */
export interface Outcome {
  peer_did: string;
  pulled: number;
  deduplicated: number;
  refused: Record<string, number>;
  refused_ids: string[];
  bytes: number;
  rounds: number;
  took_ms: number;
  failure: { code: string; message: string } | null;
}

/** `spl sync`, which may fail. */
export async function syncBox(box: Box): Promise<{ outcomes: Outcome[]; status: number; stderr: string }> {
  const { stdout, status, stderr } = await box.spl(["sync", "-o", "json"]);
  return { outcomes: JSON.parse(stdout || "[]") as Outcome[], status, stderr };
}
