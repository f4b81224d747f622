import { fromProblem } from "../../lib/api/problem.ts";
import { decodeStatement, STATEMENT, signRequest } from "../../lib/federation/http_signature.ts";
import { type PullOptions, PullSummary } from "../../lib/federation/intake.ts";
import type { PeerRequest } from "../../lib/federation/link.ts";
import { type PeerCall, pull } from "../../lib/federation/sync.ts";
import type { Pair, PairState } from "../../lib/folds/pairs.ts";
import { emit } from "../../lib/instance/emit.ts";
import { pairWith, recordPair } from "../../lib/instance/federation.ts";
import { noteStatement, ownStatement } from "../../lib/instance/steward.ts";
import type { Emission } from "../../lib/record/shape.ts";
import type { Entry, JsonObject } from "../../lib/record/types.ts";
import { ALICE, TestApp } from "./app.ts";
import { emission } from "./instances.ts";
import { RIVALS, type TestSigner } from "./records.ts";

/** Instances that are paired with each other and speak through their whole applications, without a port. */

export function openPeer(name: string, options: Parameters<typeof TestApp.open>[0] = {}): Promise<TestApp> {
  const url = `https://${name}.example`;
  return TestApp.open({ name, ...options, federation: { isolated: false, url: () => url } });
}

export async function didOf({ ctx: { instance } }: TestApp): Promise<string> {
  return (await instance.store.read((reader) => instance.signer(reader))).did;
}

/** Both sides write that they are paired. */
export async function pairUp(a: TestApp, b: TestApp): Promise<void> {
  for (const [self, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const facts = { peer_did: await didOf(other), url: other.ctx.federation.url()!, state: "active" };
    const { instance } = self.ctx;
    await instance.store.transact((writer) => recordPair(instance, writer, facts));
  }
}

/** The pair that `self` has with `other`. */
export async function pairOf({ ctx: { instance } }: TestApp, other: TestApp): Promise<Pair> {
  const did = await didOf(other);
  return (await instance.store.read((reader) => pairWith(instance, reader, did)))!;
}

/** Changes the pair that `self` has with `other`. */
export async function changePair(
  self: TestApp,
  other: TestApp,
  change: { state?: PairState; threads?: string[]; mode?: string; interval_s?: number },
): Promise<void> {
  const { instance } = self.ctx;
  const { id } = await pairOf(self, other);
  await instance.store.transact((writer) => recordPair(instance, writer, { pair: id, ...change }));
  self.ctx.changes.announce();
}

/** `self` lets threads of a namespace cross to everyone it is paired with. */
export async function grant(self: TestApp, from: string): Promise<void> {
  const { instance } = self.ctx;
  const body = { topic: "grant", from, to: "*" };
  const record = emission({ thread: "th_consent", act: "LEARN", body });
  await emit(instance, [record], { actor: await didOf(self) });
}

/** How `self` calls `other`. */
export function callOf(self: TestApp, other: TestApp): PeerCall {
  const { instance, federation } = self.ctx;
  return async (request: PeerRequest) => {
    const signer = await instance.store.read((reader) => instance.signer(reader));
    const own = ownStatement(signer, federation.url(), instance.ports.clock());
    const { method, path, body = null } = request;
    const facts = { method, path, body, to: await didOf(other) };
    const headers = signRequest(facts, own, signer.key, instance.ports);
    headers.set("accept", request.accept);
    if (request.contentType) headers.set("content-type", request.contentType);
    const response = await other.call(path, {
      method,
      headers: Object.fromEntries(headers),
      remote: "192.0.2.9",
      ...(body && { body }),
      ...(request.signal && { signal: request.signal }),
    });
    if (!response.ok) throw fromProblem(await response.json());
    const theirs = decodeStatement(response.headers.get(STATEMENT), instance.ports.clock());
    await instance.store.transact((writer) => noteStatement(writer, theirs));
    return { headers: response.headers, chunks: () => chunksOf(response) };
  };
}

async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body) for await (const chunk of response.body) yield chunk;
}

/** `self` pulls what `other` has. */
export async function meet(
  self: TestApp,
  other: TestApp,
  options: PullOptions = {},
  call = callOf(self, other),
): Promise<PullSummary> {
  const pair = await pairOf(self, other);
  return pull(self.ctx.instance, pair, call, options, new PullSummary());
}

/** Emits one record per body. */
export async function write(
  { ctx }: TestApp,
  thread: string,
  bodies: JsonObject[],
  more: Partial<Emission> = {},
): Promise<string[]> {
  const emitted = await emit(
    ctx.instance,
    bodies.map((body) => emission({ thread, body, ...more })),
    { actor: ALICE },
  );
  ctx.changes.announce();
  return emitted.map(({ id }) => id);
}

/** Puts records into the store that others have signed, as if they had come from somewhere. */
export async function plant(
  { ctx }: TestApp,
  entries: Entry[],
  signers: readonly TestSigner[] = RIVALS,
): Promise<void> {
  await ctx.instance.store.transact(async (writer) => {
    for (const { did, key } of signers) await writer.putSigner({ did, publicKey: key.publicKey });
    await writer.insert(entries);
  });
  ctx.changes.announce();
}

/** Lets `self` forget where it was in the feed of `other`, as a restored instance has. */
export async function forget(self: TestApp, other: TestApp): Promise<void> {
  const did = await didOf(other);
  await self.ctx.instance.store.transact((writer) => writer.removePeer(did));
}

/** Ids of a thread's records, in canonical order. */
export async function idsOf({ ctx }: TestApp, thread: string): Promise<string[]> {
  return ctx.instance.store.read(async (reader) => {
    const ids: string[] = [];
    for await (const batch of reader.threadEntries(thread)) ids.push(...batch.map(({ id }) => id));
    return ids;
  });
}

/** The digests of all threads that are not reserved. */
export async function sharedDigests({ ctx }: TestApp): Promise<Record<string, string>> {
  return ctx.instance.store.read(async (reader) => {
    const digests: Record<string, string> = {};
    for await (const rows of reader.threads()) {
      for (const { thread, digest } of rows) {
        if (!["th_federation_pairs", "th_consent"].includes(thread)) digests[thread] = digest;
      }
    }
    return digests;
  });
}
