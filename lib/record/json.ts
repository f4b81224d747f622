import { fromUtf8, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { MAX_BODY_DEPTH } from "../base/limits.ts";
import { canonicalText } from "./canonical.ts";
import { checkJson, invalidJson } from "./json_check.ts";
import type { Json } from "./types.ts";

/** A line `{id, record: {body}, signer, sig}` nests two levels around the body. */
const LINE_DEPTH = MAX_BODY_DEPTH + 2;
/** Up to this many UTF-16 code units the engine's parser may run before the depth is known. */
const SHORT_TEXT = 16 * 1024;

/**
 * Strict JSON (RFC 8259) within I-JSON (RFC 7493) from raw bytes. Refused, never repaired: damaged UTF-8, a byte
 * order mark, duplicate keys however they are spelled, lone surrogates, numbers beyond the range of a double,
 * integer literals that RFC 8785 would not print with the same digits, more than `maxDepth` nested arrays and
 * objects, anything behind the one value. `-0` becomes `0`.
 *
 * Keys such as `__proto__` are plain own keys of the result. Time is linear in the size, the stack is bounded.
 * @throws SplError invalid_json, saying what is wrong and at which byte
 */
export function parseJson(bytes: Uint8Array, maxDepth: number = LINE_DEPTH): Json {
  const text = decode(bytes);
  const canonical = parseIfCanonical(text, maxDepth);
  return canonical === undefined ? parseStrict(text, maxDepth) : canonical;
}

/**
 * Like `parseJson`, for bytes that are already canonical (RFC 8785): any other spelling of the value is refused.
 * @throws SplError invalid_json
 */
export function parseCanonicalJson(bytes: Uint8Array, maxDepth: number = LINE_DEPTH): Json {
  const text = decode(bytes);
  const fast = parseIfCanonical(text, maxDepth);
  if (fast !== undefined) return fast;
  const value = parseStrict(text, maxDepth);
  const canonical = canonicalText(value);
  if (canonical === text) return value;
  let at = 0;
  while (canonical[at] === text[at]) at++;
  throw invalidJson("not the canonical form (RFC 8785)", text, at);
}

/**
 * The value of a text that is provably canonical, else undefined. Sorted keys that print back as the same text are
 * unique, and nothing in them was rounded or respelled; only a lone surrogate would print as it was escaped.
 */
function parseIfCanonical(text: string, maxDepth: number): Json | undefined {
  if (text.length > SHORT_TEXT || text.includes("\\ud")) return undefined;
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
  return isSorted(value, maxDepth) && JSON.stringify(value) === text ? value : undefined;
}

/** Whether all keys are listed in ascending order and at most `levels` arrays and objects are nested. */
function isSorted(value: Json, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (levels === 0) return false;
  if (Array.isArray(value)) {
    for (const item of value) if (!isSorted(item, levels - 1)) return false;
    return true;
  }
  let previous: string | undefined;
  for (const key of Object.keys(value)) {
    if (previous !== undefined && key < previous) return false;
    if (!isSorted(value[key]!, levels - 1)) return false;
    previous = key;
  }
  return true;
}

function parseStrict(text: string, maxDepth: number): Json {
  const { negativeZero } = checkJson(text, maxDepth);
  const value = JSON.parse(text) as Json;
  return negativeZero ? (JSON.parse(canonicalText(value)) as Json) : value;
}

function decode(bytes: Uint8Array): string {
  const text = fromUtf8(bytes);
  if (text !== null) return text;
  // A lenient decoder's replacement differs from the input where the damage is.
  const repaired = utf8(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
  const at = bytes.findIndex((byte, i) => byte !== repaired[i]);
  throw new SplError("invalid_json", `invalid JSON: not UTF-8 at byte ${at}`);
}
