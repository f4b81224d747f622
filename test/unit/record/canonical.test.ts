import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { SplError } from "../../../lib/base/errors.ts";
import { canonicalBytes, canonicalText } from "../../../lib/record/canonical.ts";
import type { Json } from "../../../lib/record/types.ts";

/** RFC 8785, written a second time from its text. */
function oracle(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(oracle).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const units = (text: string) => Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  const keys = Object.keys(value).sort((a, b) => {
    const [left, right] = [units(a), units(b)];
    const at = left.findIndex((unit, i) => unit !== right[i]);
    return at < 0 ? left.length - right.length : left[at]! - (right[at] ?? -1);
  });
  return `{${keys.map((key) => `${JSON.stringify(key)}:${oracle(value[key]!)}`).join(",")}}`;
}

describe("canonicalText", () => {
  test("equals an independent reading of the RFC", () => {
    const anyJson = fc.jsonValue({ stringUnit: "binary" }) as fc.Arbitrary<Json>;
    fc.assert(fc.property(anyJson, (value) => expect(canonicalText(value)).toBe(oracle(value))));
  });

  test("orders keys by UTF-16 code units, integers among them as text", () => {
    expect(canonicalText({ "9": 1, "10": 2, "\ufb33": 3, "😀": 4, a: 5 })).toBe(
      '{"10":2,"9":1,"a":5,"😀":4,"\ufb33":3}',
    );
  });

  test("keeps composed and decomposed text apart", () => {
    expect(canonicalBytes("\u00e9")).not.toEqual(canonicalBytes("e\u0301"));
    expect(canonicalText({ "\u00e9": 1, "e\u0301": 2 })).toBe('{"e\u0301":2,"\u00e9":1}');
  });

  test.each([
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    ["\ud800"],
    [{ "\udc00": 1 }],
    [[{ a: "x\ud800x" }]],
    [undefined],
  ])("refuses %p", (value) => {
    expect(() => canonicalText(value as Json)).toThrow(SplError);
    expect(() => canonicalText(value as Json)).toThrow(/^invalid JSON: /);
  });
});
