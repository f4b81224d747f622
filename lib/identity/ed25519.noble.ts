import { getPublicKey, hashes, Point, sign } from "@noble/ed25519";
import { sha512 } from "@noble/hashes/sha2.js";
import { concatBytes, equalBytes, toHex } from "../base/bytes.ts";
import type { Ed25519 } from "./ed25519.ts";

hashes.sha512 = sha512;

const L = Point.CURVE().n;

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes.toReversed())}`);
}

/**
 * Ed25519 in plain JavaScript: for browsers, and the cross-check of the native one in tests. The package's own
 * `verify` multiplies by the cofactor and so accepts what native code refuses; this is the equation without it.
 */
export const nobleEd25519: Ed25519 = {
  publicKey: (seed) => getPublicKey(seed),
  sign: (message, seed) => sign(message, seed),
  verify(signature, message, publicKey) {
    if (signature.length !== 64 || publicKey.length !== 32) return false;
    const r = signature.subarray(0, 32);
    const s = littleEndian(signature.subarray(32));
    if (s >= L) return false;
    let a: Point;
    try {
      a = Point.fromBytes(publicKey);
    } catch {
      return false;
    }
    if (a.isSmallOrder()) return false;
    const k = littleEndian(sha512(concatBytes(r, publicKey, message))) % L;
    const expected = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k));
    return equalBytes(expected.toBytes(), r);
  },
};

/** Stands in for `ed25519.ts` in browsers (package.json, `browser`). */
export { nobleEd25519 as ed25519 };

/** There are no threads to verify in. */
export async function verifyAside(...signed: Parameters<Ed25519["verify"]>): Promise<boolean> {
  return nobleEd25519.verify(...signed);
}
