import { toHex } from "../base/bytes.ts";
import { didDocument } from "../identity/did.ts";
import type { JsonObject } from "../record/types.ts";
import type { Instance } from "./instance.ts";

export interface IdentityView {
  did: string;
  /** 32 bytes, hex. */
  public_key: string;
  epoch: number;
  document: JsonObject;
}

export function showIdentity(instance: Instance): Promise<IdentityView> {
  return instance.store.read(async (reader) => {
    const { did, publicKey, epoch } = await instance.signer(reader);
    return { did, public_key: toHex(publicKey), epoch, document: didDocument(did, publicKey) };
  });
}
