import { SplError } from "../base/errors.ts";
import { isCanonical, isOnCurve, isSmallOrder } from "./point.ts";

/** DER in front of a raw public key (RFC 8410, section 4). */
export const SPKI = Uint8Array.fromHex("302a300506032b6570032100");

/**
 * A public key as it may be believed: 32 bytes, canonical, on the curve, not of small order.
 * @throws SplError key_damaged
 */
export function readPublicKey(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== 32) throw damaged(`has ${bytes.length} bytes instead of 32`);
  if (!isCanonical(bytes)) throw damaged("is not in canonical form");
  if (isSmallOrder(bytes)) throw damaged("is a point of small order, for which anyone can sign");
  if (!isOnCurve(bytes)) throw damaged("is no point of the curve");
  return bytes.slice();
}

function damaged(what: string): SplError {
  return new SplError("key_damaged", `the Ed25519 public key ${what}`);
}
