import canonicalize from "canonicalize";
import { utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import type { Json } from "./types.ts";

/**
 * Canonical JSON (RFC 8785): keys by UTF-16 code units, numbers and strings as ECMAScript prints them, no white space.
 * @throws SplError invalid_json for what I-JSON (RFC 7493) refuses: lone surrogates, NaN, infinities
 */
export function canonicalText(value: Json): string {
  let text: string | undefined;
  try {
    text = canonicalize(value);
  } catch (error) {
    throw new SplError("invalid_json", `invalid JSON: ${(error as Error).message}`, { cause: error });
  }
  if (text === undefined) throw new SplError("invalid_json", `invalid JSON: ${typeof value} is no value`);
  return text;
}

/** The UTF-8 bytes of `canonicalText`: what ids and signatures are made of. */
export function canonicalBytes(value: Json): Uint8Array {
  return utf8(canonicalText(value));
}
