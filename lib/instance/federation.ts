import type { Pair } from "../folds/pairs.ts";
import type { Instance } from "./instance.ts";
import { foldReserved } from "./reserved.ts";

/** A pair as `federation list` shows it; `last_sync` is local to this host, null until the first one here. */
export interface PairView extends Pair {
  last_sync: string | null;
}

export function listPairs(instance: Instance): Promise<PairView[]> {
  return instance.store.read(async (reader) => {
    const { did } = await instance.signer(reader);
    const folds = await foldReserved(reader, did);
    return folds.pairs.standing().map((pair) => ({ ...pair, last_sync: null }));
  });
}
