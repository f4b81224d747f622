import type { KeyObject } from "node:crypto";
import { concatBytes, toHex } from "../base/bytes.ts";
import { nodeCrypto } from "../base/node_crypto.ts";
import { isCanonical, isSmallOrder } from "./point.ts";
import { SPKI } from "./public_key.ts";

/**
 * Ed25519 (RFC 8032) under one policy, on every verifier alike: S < L, canonical encodings of the public key A and
 * of R, no A of small order, and the equation without cofactor, `encode(S*B - k*A) = R`. Seeds and public keys have
 * 32 bytes, signatures 64.
 */
export interface Ed25519 {
  publicKey(seed: Uint8Array): Uint8Array;
  sign(message: Uint8Array, seed: Uint8Array): Uint8Array;
  /** False for whatever is not valid, lengths included; never throws. */
  verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
}

/** DER in front of a raw seed (RFC 8410, section 7). */
const PKCS8 = Uint8Array.fromHex("302e020100300506032b657004220420");

/** Signers whose keys stay parsed; a bundle or a page of records rarely has more. */
const CACHED_PUBLIC_KEYS = 1024;

const privateKeys = new WeakMap<Uint8Array, KeyObject>();
/** By hex of the raw key, oldest first; null for a key that the policy refuses. */
const publicKeys = new Map<string, KeyObject | null>();

function privateKey(seed: Uint8Array): KeyObject {
  let key = privateKeys.get(seed);
  if (key === undefined) {
    const der = Buffer.from(concatBytes(PKCS8, seed));
    key = nodeCrypto().createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    privateKeys.set(seed, key);
  }
  return key;
}

function publicKeyObject(raw: Uint8Array): KeyObject | null {
  const name = toHex(raw);
  let key = publicKeys.get(name);
  if (key === undefined) {
    if (publicKeys.size === CACHED_PUBLIC_KEYS) publicKeys.delete(publicKeys.keys().next().value!);
    key = parsePublicKey(raw);
    publicKeys.set(name, key);
  }
  return key;
}

/** A point off the curve passes here and verifies nothing. */
function parsePublicKey(raw: Uint8Array): KeyObject | null {
  if (!isCanonical(raw) || isSmallOrder(raw)) return null;
  const der = Buffer.from(concatBytes(SPKI, raw));
  return nodeCrypto().createPublicKey({ key: der, format: "der", type: "spki" });
}

/** By Bun's native code; browsers have `ed25519.noble.ts` in its place. A seed's bytes must not change once it has signed. */
export const ed25519: Ed25519 = {
  publicKey(seed) {
    const der = nodeCrypto().createPublicKey(privateKey(seed)).export({ format: "der", type: "spki" });
    return new Uint8Array(der.subarray(SPKI.length));
  },
  sign(message, seed) {
    return new Uint8Array(nodeCrypto().sign(null, message, privateKey(seed)));
  },
  verify(signature, message, publicKey) {
    if (signature.length !== 64 || publicKey.length !== 32) return false;
    const key = publicKeyObject(publicKey);
    return key !== null && nodeCrypto().verify(null, message, key, signature);
  },
};

/**
 * `ed25519.verify` in the engine's threads, beside the caller: many at once take every core, and nothing waits for them.
 */
export async function verifyAside(
  signature: Uint8Array,
  message: Uint8Array,
  publicKey: Uint8Array,
): Promise<boolean> {
  if (signature.length !== 64 || publicKey.length !== 32) return false;
  const key = publicKeyObject(publicKey);
  if (key === null) return false;
  return new Promise((resolve, reject) =>
    nodeCrypto().verify(null, message, key, signature, (error, valid) =>
      error ? reject(error) : resolve(valid),
    ),
  );
}
