import { concatBytes, toHex, utf8 } from "../base/bytes.ts";
import { sha256 } from "../base/sha256.ts";

/** A record's id: lowercase hex SHA-256 of the JCS bytes of its seven hashed fields (spec, section 2). */
export function recordId(canonical: Uint8Array): string {
  return toHex(sha256.hash(canonical));
}

/**
 * A new thread id: `th_` and the hex SHA-256 of `actor NUL purpose NUL nonce`. The nonce is random, so that the
 * same purpose opens another thread each time.
 */
export function mintThread(actor: string, purpose: string, nonce: Uint8Array): string {
  return `th_${toHex(sha256.hash(concatBytes(utf8(`${actor}\0${purpose}\0`), nonce)))}`;
}
