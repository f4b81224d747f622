import { InstanceFolds, RESERVED_THREADS } from "../folds/reserved.ts";
import type { Reader } from "../store/types.ts";
import type { Instance } from "./instance.ts";

/** Folds the reserved threads from the store, as they count for who the instance is now. */
export async function foldReserved(instance: Instance, reader: Reader): Promise<InstanceFolds> {
  const folds = new InstanceFolds((await instance.signer(reader)).did);
  for (const thread of Object.values(RESERVED_THREADS)) {
    for await (const entries of reader.threadEntries(thread)) folds.add(entries);
  }
  return folds;
}
