import { toHex } from "../base/bytes.ts";
import { didDocument } from "../identity/did.ts";
import type { JsonObject } from "../record/types.ts";
import type { Instance } from "./instance.ts";
import { type StewardView, stewardView } from "./steward.ts";

export interface IdentityView extends StewardView {
  did: string;
  /** 32 bytes, hex. */
  public_key: string;
  epoch: number;
  document: JsonObject;
}

export function showIdentity(instance: Instance): Promise<IdentityView> {
  return instance.store.read(async (reader) => {
    const signer = await instance.signer(reader);
    const { did, publicKey, epoch } = signer;
    const facts = { did, public_key: toHex(publicKey), epoch, ...(await stewardView(reader, signer)) };
    return { ...facts, document: didDocument(did, publicKey) };
  });
}
