import { SplError } from "../base/errors.ts";
import { isPlainText } from "../base/text.ts";
import type { Json, JsonObject } from "../record/types.ts";

/** Readers of single fields out of parsed JSON. Each throws SplError invalid_json that says what is wrong. */

/** @throws SplError invalid_json unless `value` is an object of exactly these fields; `names` are ascending */
export function exactFields(value: Json, names: string[]): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw unfit("is no object");
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) throw unfit(`has the unknown field ${JSON.stringify(unknown)}`);
  const missing = names.find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) throw unfit(`lacks the field ${missing}`);
  return value;
}

/** A safe integer from 0 to `max`. */
export function count(object: JsonObject, name: string, max: number = Number.MAX_SAFE_INTEGER): number {
  const value = object[name];
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max)
    return value as number;
  throw unfit(`${name} is not an integer from 0 to ${max}`);
}

/** A text of `min` to `max` UTF-16 code units without control characters. */
export function text(object: JsonObject, name: string, min: number, max: number): string {
  const value = object[name];
  if (typeof value === "string" && isPlainText(value, min, max)) return value;
  throw unfit(`${name} is not a text of ${min} to ${max} characters without control characters`);
}

/** Texts of 1 to `max` code units, ascending by UTF-8 bytes and unique. */
export function texts(object: JsonObject, name: string, max: number): string[] {
  const value = object[name];
  const fit =
    Array.isArray(value) && value.every((item) => typeof item === "string" && isPlainText(item, 1, max));
  if (fit && isAscending(value as string[])) return value as string[];
  throw unfit(`${name} is not an ascending list of unique texts`);
}

/** 32 bytes in lowercase hex. */
export function hex32(object: JsonObject, name: string): string {
  const value = object[name];
  if (typeof value === "string" && /^[0-9a-f]{64}$/.test(value)) return value;
  throw unfit(`${name} is not 64 lowercase hex digits`);
}

export function oneOf<const T extends string>(object: JsonObject, name: string, choices: readonly T[]): T {
  const value = object[name];
  const choice = choices.find((each) => each === value);
  if (choice !== undefined) return choice;
  throw unfit(`${name} is not one of ${choices.join(", ")}`);
}

/** Whether texts ascend strictly by their bytes in UTF-8. */
export function isAscending(items: string[]): boolean {
  return items.every((item, i) => i === 0 || Buffer.from(items[i - 1]!).compare(Buffer.from(item)) < 0);
}

function unfit(what: string): SplError {
  return new SplError("invalid_json", what);
}
