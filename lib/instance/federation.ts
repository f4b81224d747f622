import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import type { Pair } from "../folds/pairs.ts";
import { RESERVED_THREADS } from "../folds/reserved.ts";
import type { JsonObject } from "../record/types.ts";
import type { Reader, Writer } from "../store/types.ts";
import { emitWith } from "./emit.ts";
import type { Instance } from "./instance.ts";
import { foldReserved } from "./reserved.ts";

/** A pair as `federation list` shows it; how syncing goes is local to this host. */
export interface PairView extends Pair {
  /** ISO 8601; null until the first one here. */
  last_sync: string | null;
  /** Why the last attempt failed; the pair is degraded until one succeeds. */
  problem: string | null;
}

export function listPairs(instance: Instance): Promise<PairView[]> {
  return instance.store.read(async (reader) => {
    const { did } = await instance.signer(reader);
    const folds = await foldReserved(reader, did);
    const peers = new Map((await reader.peers()).map((peer) => [peer.did, peer]));
    return folds.pairs.standing().map((pair) => {
      const { lastSync = null, problem = null } = peers.get(pair.peer_did) ?? {};
      return { ...pair, last_sync: lastSync === null ? null : isoTime(lastSync), problem };
    });
  });
}

/** The pair with this peer that is not revoked, or null. */
export async function pairWith(instance: Instance, reader: Reader, peer: string): Promise<Pair | null> {
  const { did } = await instance.signer(reader);
  const { pairs } = await foldReserved(reader, did);
  return pairs.standing().find(({ peer_did }) => peer_did === peer) ?? null;
}

/** Writes a record on `th_federation_pairs` in the instance's own name and returns its id. */
export async function recordPair(instance: Instance, writer: Writer, body: JsonObject): Promise<string> {
  const { did } = await instance.signer(writer);
  const emission = {
    thread: RESERVED_THREADS.pairs,
    act: "LEARN",
    body: { topic: "pair", ...body, at: isoTime(instance.ports.clock()) },
    data_type: "SCALAR",
    judged_by: null,
  } as const;
  const [emitted] = await emitWith(instance, writer, [emission], { actor: did });
  return emitted!.id;
}

/** Says by record that the peer of a pair lives at another URL now. Without effect where that is known. */
export function movePair(instance: Instance, id: string, url: string): Promise<void> {
  return instance.store.transact(async (writer) => {
    const { did } = await instance.signer(writer);
    const { pairs } = await foldReserved(writer, did);
    const pair = pairs.standing().find((each) => each.id === id);
    if (!pair) throw new SplError("pair_unknown", `the pair ${id} is there no longer`);
    if (pair.url !== url) await recordPair(instance, writer, { pair: id, url });
  });
}
