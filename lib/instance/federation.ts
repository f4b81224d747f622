import { isoTime } from "../base/clock.ts";
import type { Pair } from "../folds/pairs.ts";
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
