/** Text forms of bytes. Decoders accept exactly one spelling of each value and return null otherwise. */

const HEX = /^[0-9a-f]*$/;
const BASE64URL = /^[A-Za-z0-9_-]*$/;
const encoder = new TextEncoder();
// A byte order mark is kept, so that strict JSON can refuse it; damaged UTF-8 throws.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/** Lowercase hex of exactly `length` bytes, else null. */
export function fromHex(text: string, length: number): Uint8Array | null {
  return text.length === length * 2 && HEX.test(text) ? Uint8Array.fromHex(text) : null;
}

/** RFC 4648, section 5, without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Unpadded base64url of exactly `length` bytes with zero trailing bits, else null. */
export function fromBase64Url(text: string, length: number): Uint8Array | null {
  if (text.length !== Math.ceil((length * 4) / 3) || !BASE64URL.test(text)) return null;
  const bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
  return toBase64Url(bytes) === text ? bytes : null;
}

/** The same for bytes of any number. */
export function fromBase64UrlText(text: string): Uint8Array | null {
  return fromBase64Url(text, Math.floor((text.length * 3) / 4));
}

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Text of strictly valid UTF-8, else null. */
export function fromUtf8(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return compareBytes(a, b) === 0;
}

/** Whether two secrets, or hashes of them, are equal; the time it takes tells their length only. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ (b[i] ?? 0);
  return difference === 0;
}

/** Lexicographic order of unsigned bytes: negative, 0 or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function concatBytes(...parts: Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
