import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { nobleSha256 } from "../../../lib/base/sha256.noble.ts";
import { sha256 } from "../../../lib/base/sha256.ts";
import { pairingPhrase } from "../../../lib/pairing/phrase.ts";

const CODE = "7KMP-2XQ9-T4VD";
const NONCE = "A".repeat(43);

test("three words from the first 33 bits, the same with either hash", () => {
  const hash = createHash("sha256").update(`syncropel-pairing-v1:${CODE}:${NONCE}`).digest();
  const bits = BigInt(`0x${hash.toString("hex")}`) >> (256n - 33n);
  const words = [22n, 11n, 0n].map((shift) => wordlist[Number((bits >> shift) & 2047n)]);
  expect(pairingPhrase(CODE, NONCE, sha256)).toBe(words.join(" "));
  expect(pairingPhrase(CODE, NONCE, nobleSha256)).toBe(words.join(" "));
});

test("another code or another nonce makes other words", () => {
  const phrase = pairingPhrase(CODE, NONCE, sha256);
  expect(pairingPhrase("7KMP-2XQ9-T4VE", NONCE, sha256)).not.toBe(phrase);
  expect(pairingPhrase(CODE, `B${NONCE.slice(1)}`, sha256)).not.toBe(phrase);
});
