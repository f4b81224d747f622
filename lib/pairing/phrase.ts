import { wordlist } from "@scure/bip39/wordlists/english.js";
import { utf8 } from "../base/bytes.ts";
import type { Sha256 } from "../base/sha256.ts";

/** Three of the 2,048 words of BIP-39: 33 bits. */
const WORDS = 3;
const WORD_BITS = 11;

/**
 * What both ends of a pairing show, so that a person sees that they talk to each other: words from SHA-256 of
 * `syncropel-pairing-v1:` + code + `:` + nonce, eleven bits each from the first bit on.
 * @param code as `readCode` returns it
 * @param nonce base64url of the device's 32 random bytes
 */
export function pairingPhrase(code: string, nonce: string, sha256: Sha256): string {
  const hash = sha256.hash(utf8(`syncropel-pairing-v1:${code}:${nonce}`));
  const bits = Array.from(hash, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return Array.from({ length: WORDS }, (_, n) => {
    const word = bits.slice(n * WORD_BITS, (n + 1) * WORD_BITS);
    return wordlist[Number.parseInt(word, 2)];
  }).join(" ");
}
