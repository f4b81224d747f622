import { utf8 } from "../base/bytes.ts";
import type { Entry } from "../record/types.ts";
import { ed25519, verifyAside } from "./ed25519.ts";
import type { KeyPair } from "./key.ts";

/**
 * What a record's signature covers (spec, section 2). The prefix keeps it apart from a manifest's signature, whose
 * message is JSON and starts with `{`.
 */
export function recordMessage(id: string, judgedBy: string | null, signer: string): Uint8Array {
  return utf8(`syncropel-record-v1:${id}:${judgedBy ?? ""}:${signer}`);
}

/** The 64-byte signature of the instance `signer` under a record. */
export function signRecord(id: string, judgedBy: string | null, signer: string, key: KeyPair): Uint8Array {
  return key.sign(recordMessage(id, judgedBy, signer));
}

/**
 * Whether `publicKey` signed this entry. That the key is the signer's, and the id the hash of the canonical bytes,
 * is for the caller to check (`certifies`, `recordId`).
 */
export function verifyEntry(
  entry: Pick<Entry, "id" | "judged_by" | "signer" | "sig">,
  publicKey: Uint8Array,
): boolean {
  return ed25519.verify(entry.sig, recordMessage(entry.id, entry.judged_by, entry.signer), publicKey);
}

/** `verifyEntry` in the engine's threads. */
export function verifyEntryAside(
  entry: Pick<Entry, "id" | "judged_by" | "signer" | "sig">,
  publicKey: Uint8Array,
): Promise<boolean> {
  return verifyAside(entry.sig, recordMessage(entry.id, entry.judged_by, entry.signer), publicKey);
}
