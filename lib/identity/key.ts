import { concatBytes } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { fingerprintOf } from "./did.ts";
import { ed25519 } from "./ed25519.ts";
import { SPKI } from "./public_key.ts";

/** An instance's Ed25519 key. The seed is a getter, so that printing or serialising a key does not show it. */
export class KeyPair {
  readonly #seed: Uint8Array;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 40 hex: what the DID ends with, and what the key's file is called. */
  readonly fingerprint: string;

  constructor(seed: Uint8Array) {
    this.#seed = seed.slice();
    this.publicKey = ed25519.publicKey(this.#seed);
    this.fingerprint = fingerprintOf(this.publicKey);
  }

  /** The 32 secret bytes (RFC 8032, section 5.1.5). */
  get seed(): Uint8Array {
    return this.#seed.slice();
  }

  /** 64 bytes. */
  sign(message: Uint8Array): Uint8Array {
    return ed25519.sign(message, this.#seed);
  }
}

/** @throws SplError key_damaged when the seed has not 32 bytes */
export function keyFromSeed(seed: Uint8Array): KeyPair {
  if (seed.length !== 32) {
    throw new SplError("key_damaged", `the private key has ${seed.length} bytes instead of 32`);
  }
  return new KeyPair(seed);
}

export function generateKey(random: Random): KeyPair {
  return keyFromSeed(random(32));
}

/** The public key as SubjectPublicKeyInfo in PEM (RFC 8410, RFC 7468), byte for byte as openssl writes it. */
export function publicKeyPem(publicKey: Uint8Array): string {
  return `-----BEGIN PUBLIC KEY-----\n${concatBytes(SPKI, publicKey).toBase64()}\n-----END PUBLIC KEY-----\n`;
}
