import { InstanceFolds, RESERVED_THREADS } from "../folds/reserved.ts";
import type { Reader } from "../store/types.ts";

/** Folds the reserved threads of the instance `did` from the store. */
export async function foldReserved(reader: Reader, did: string): Promise<InstanceFolds> {
  const folds = new InstanceFolds(did);
  for (const thread of Object.values(RESERVED_THREADS)) {
    for await (const entries of reader.threadEntries(thread)) folds.add(entries);
  }
  return folds;
}
