import type { Instance } from "./instance.ts";
import type { Status } from "./types.ts";

/** Identity, counts and digest of one moment. */
export function status(instance: Instance): Promise<Status> {
  return instance.store.read(async (reader) => {
    const { did, epoch } = await instance.signer(reader);
    return { instance_did: did, epoch, state: "active", ...(await reader.totals()) };
  });
}
