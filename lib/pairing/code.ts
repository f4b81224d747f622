import type { Random } from "../base/random.ts";

/**
 * The one-time code that pairs a device: `XXXX-XXXX-XXXX` in Crockford's base32. The first four characters (20 bits)
 * name the pairing, the other eight (40 bits) are the secret. Command line, server and browser all read it here.
 */

/** crockford.com/base32.html: no I, L, O and U. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH = 12;
const ID_LENGTH = 4;
const CODE = /^[0-9A-HJKMNP-TV-Z]{12}$/;

/** How long a code lives. */
export const PAIRING_MS = 10 * 60 * 1000;
/** Wrong codes that burn a pairing. */
export const MAX_TRIES = 5;
/** What a device adds to the exchange: as many random bytes. */
export const NONCE_BYTES = 32;
/** The page that redeems a code, below the instance's URL. */
export const PAIR_PATH = "/pair";

export function makeCode(random: Random): string {
  // 32 divides 256: every character is as likely as any other.
  return grouped(Array.from(random(LENGTH), (byte) => ALPHABET[byte % 32]).join(""));
}

/** The code that was typed, in its one spelling, or null. Case, spaces, dashes, O for 0, I and L for 1 do not matter. */
export function readCode(typed: string): string | null {
  const text = typed
    .toUpperCase()
    .replace(/[\s\p{Dash}]/gu, "")
    .replaceAll("O", "0")
    .replaceAll(/[IL]/g, "1");
  return CODE.test(text) ? grouped(text) : null;
}

/** The part that names the pairing; it is no secret. */
export function codeId(code: string): string {
  return code.slice(0, ID_LENGTH);
}

/** The code rides in the fragment, which no browser sends to a server. */
export function pairingLink(baseUrl: string, code: string): string {
  return `${baseUrl}${PAIR_PATH}#${code}`;
}

export interface PairingAddress {
  /** Base URL of the instance, or null where only a code was given. */
  baseUrl: string | null;
  code: string;
}

/** What a link or a bare code says, or null when it is neither. */
export function readPairing(text: string): PairingAddress | null {
  const trimmed = text.trim();
  const link = /^(https?:\/\/[^\s#?]+)\/pair\/?#([^#]*)$/i.exec(trimmed);
  const code = readCode(link ? link[2]! : trimmed);
  return code === null ? null : { baseUrl: link?.[1] ?? null, code };
}

function grouped(text: string): string {
  return text.replace(/^(.{4})(.{4})/, "$1-$2-");
}
