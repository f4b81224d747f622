import type { Instance } from "./instance.ts";
import { stewardView } from "./steward.ts";
import type { Status } from "./types.ts";

/** Identity, counts and digest of one moment. */
export function status(instance: Instance): Promise<Status> {
  return instance.store.read(async (reader) => {
    const signer = await instance.signer(reader);
    const { did, epoch } = signer;
    return { instance_did: did, epoch, ...(await stewardView(reader, signer)), ...(await reader.totals()) };
  });
}
