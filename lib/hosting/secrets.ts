import { hmac } from "@noble/hashes/hmac.js";
import { sha256 as hash } from "@noble/hashes/sha2.js";
import { toBase64Url, toHex, utf8 } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";

/** Secrets of owners and links. The database keeps hashes only; a link's secret follows from the service's own key. */

const SECRET_BYTES = 32;

/** 256 bits, base64url. */
export function newSecret(random: Random): string {
  return toBase64Url(random(SECRET_BYTES));
}

/** SHA-256, 64 hex: what is kept of a secret of 256 bits, which nobody can guess. */
export function secretHash(secret: string): string {
  return toHex(hash(utf8(secret)));
}

/**
 * The secret of the n-th first-run link of an instance: HMAC-SHA-256 (RFC 2104), so that the owner can be shown the
 * link again although no table holds it.
 * @param key 32 bytes that only the service has, apart from its database
 */
export function linkSecret(key: Uint8Array, instance: string, n: number): string {
  return toBase64Url(hmac(hash, key, utf8(`spl-first-run-v1:${instance}:${n}`)));
}

/**
 * The id of the instance that whoever sends this Idempotency-Key asks for, 16 hex: the key leads to it, and it does not
 * lead to the key, so that nothing has to be kept.
 * @param key as for `linkSecret`
 */
export function idFor(key: Uint8Array, idempotencyKey: string): string {
  return toHex(hmac(hash, key, utf8(`spl-provision-v1:${idempotencyKey}`)).subarray(0, 8));
}

// Without 0, 1, i, l, o and u: nothing that looks alike, and no words.
const ALPHABET = "23456789abcdefghjkmnpqrstvwxyz";
const GROUPS = 6;
const GROUP = 5;

/** For paper: six groups of five, 147 bits. */
export function newRecoveryCode(random: Random): string {
  const groups: string[] = [];
  while (groups.length < GROUPS) {
    // A byte above the last whole multiple would favour the first letters.
    const letters = [...random(4 * GROUP)]
      .filter((byte) => byte < 240)
      .map((byte) => ALPHABET[byte % ALPHABET.length]!);
    if (letters.length >= GROUP) groups.push(letters.slice(0, GROUP).join(""));
  }
  return groups.join("-");
}

/** The code as it was given out, whatever case and separators it was typed with. */
export function tidyRecoveryCode(typed: string): string {
  const letters = typed.toLowerCase().replace(/[^a-z0-9]/g, "");
  return (letters.match(/.{1,5}/g) ?? []).join("-");
}
