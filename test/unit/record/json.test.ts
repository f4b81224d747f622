import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { utf8 } from "../../../lib/base/bytes.ts";
import { SplError } from "../../../lib/base/errors.ts";
import { canonicalText } from "../../../lib/record/canonical.ts";
import { parseCanonicalJson, parseJson } from "../../../lib/record/json.ts";
import type { Json } from "../../../lib/record/types.ts";

const read = (text: string, maxDepth?: number) => parseJson(utf8(text), maxDepth);
const readCanonical = (text: string) => parseCanonicalJson(utf8(text));
/** Any JSON value, with strings of all of Unicode; its keys include `__proto__` and integers. */
const anyJson = fc.jsonValue({ stringUnit: "binary" }) as fc.Arbitrary<Json>;

function refusal(text: string): string {
  try {
    read(text);
  } catch (error) {
    expect((error as SplError).code).toBe("invalid_json");
    return (error as SplError).message;
  }
  throw new Error(`accepted ${text.slice(0, 80)}`);
}

describe("refused, saying what and where", () => {
  test.each([
    ["", "unexpected end at byte 0"],
    [" ", "unexpected end at byte 1"],
    ["nul", "expected a value at byte 0"],
    ["{} {}", "something behind the value at byte 3"],
    ["1\0", "something behind the value at byte 1"],
    ["\ufeff{}", "byte order mark at byte 0"],
    ["[1,]", "expected a value at byte 3"],
    ["[1 2]", "expected , or ] at byte 3"],
    ['{"a" 1}', "expected : at byte 5"],
    ['{"a":1,}', "expected a key in double quotes at byte 7"],
    ["{a:1}", "expected a key in double quotes at byte 1"],
    ['{"a":1]', "expected , or } at byte 6"],
    ['"tab\there"', "control character in a string at byte 4"],
    ['"\\x"', "unknown escape at byte 2"],
    ['"\\u12g4"', "unknown escape at byte 2"],
    ['"abc', "unexpected end at byte 4"],
    ["-", "unexpected end at byte 1"],
    ["-a", "expected a digit at byte 1"],
    ["01", "something behind the value at byte 1"],
    ["NaN", "expected a value at byte 0"],
    ["1e400", "number too large for a double at byte 0"],
    ["[-1e400]", "number too large for a double at byte 1"],
    ["9007199254740993", "integer that would become 9007199254740992 at byte 0"],
    ["-9007199254740993", "integer that would become -9007199254740992 at byte 0"],
    ["1000000000000000000000", "integer that would become 1e+21 at byte 0"],
    ['{"a":1,"a":2}', "duplicate key at byte 7"],
    ['{"b":1,"a":{"c":1,"c":1}}', "duplicate key at byte 18"],
    ['{"ü":1, "\\u00fc":2}', "duplicate key at byte 9"],
    ['{"__proto__":1,"__proto__":1}', "duplicate key at byte 15"],
    ['"\\ud800"', "lone surrogate at byte 1"],
    ['"\\udc00\\ud800"', "lone surrogate at byte 1"],
    ['"\\ud800\\u0061"', "lone surrogate at byte 1"],
    ['{"\\ud800":1}', "lone surrogate at byte 2"],
  ])("%j: %s", (text, message) => {
    expect(refusal(text)).toBe(`invalid JSON: ${message}`);
    expect(() => readCanonical(text)).toThrow(SplError);
  });
});

describe("accepted", () => {
  test.each([
    ["-0", 0],
    ["-0.0", 0],
    ["[-0e5]", [0]],
    ["1.0", 1],
    ["1E0", 1],
    ["0.1e1", 1],
    ["9007199254740992", 2 ** 53],
    ["100000000000000000000", 1e20],
    ["1e21", 1e21],
    ["1e-400", 0],
    ['"\\ud83d\\ude00"', "😀"],
    ['"\\/\\u0041\\u00e9"', "/Aé"],
    [' { "b" : [ ] , "a" : { } } ', { a: {}, b: [] }],
    ['"\uffff"', "\uffff"],
  ])("%s", (text, value) => expect(read(text)).toStrictEqual(value as Json));

  test("keys that mean something to JavaScript are plain own keys", () => {
    const text = '{"__proto__":{"polluted":1},"constructor":2,"hasOwnProperty":3,"toJSON":4}';
    for (const value of [read(text), readCanonical(text), read(` ${text}`)]) {
      expect(Object.keys(value as object)).toEqual(["__proto__", "constructor", "hasOwnProperty", "toJSON"]);
      expect(canonicalText(value)).toBe(text);
    }
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe("depth", () => {
  const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;

  test("counts arrays and objects, and is exact", () => {
    expect(() => read(nested(66))).not.toThrow();
    expect(() => read('[{"a":1}]', 2)).not.toThrow();
    expect(() => read('[{"a":1}]', 1)).toThrow("more than 1 nested levels at byte 1");
    expect(refusal(nested(67))).toBe("invalid JSON: more than 66 nested levels at byte 66");
    expect(() => readCanonical(nested(67))).toThrow("more than 66 nested levels");
    expect(() => read(`[${nested(66).repeat(2)}]`)).toThrow(SplError);
  });

  test("five million levels are refused like sixty-seven", () => {
    const message = "invalid JSON: more than 66 nested levels at byte";
    expect(refusal(nested(5_000_000))).toBe(`${message} 66`);
    expect(refusal("[".repeat(5_000_000))).toBe(`${message} 66`);
    expect(refusal('{"a":'.repeat(1_500_000))).toBe(`${message} 330`);
    expect(() => parseCanonicalJson(utf8(nested(5_000_000)))).toThrow(message);
  });
});

describe("size", () => {
  const MEGA = 1_000_000;
  test.each([
    ["white space", `${" ".repeat(4 * MEGA)}1`],
    ["escapes", `"${"\\u0041".repeat(MEGA)}"`],
    ["one long number", `0.${"1".repeat(4 * MEGA)}`],
    ["keys in falling order", `{${Array.from({ length: 300_000 }, (_, i) => `"${9e6 - i}":0`).join()}}`],
    ["escaped keys", `{${Array.from({ length: 100_000 }, (_, i) => `"\\u0061${i}":0`).join()}}`],
    ["flat arrays", `[${"[],".repeat(MEGA)}1]`],
  ])("megabytes of %s are read in linear time", (_, text) => expect(() => read(text)).not.toThrow());

  test("an integer of four million digits is refused", () => {
    expect(refusal("1".repeat(4 * MEGA))).toBe("invalid JSON: number too large for a double at byte 0");
  });
});

describe("canonical bytes only", () => {
  test.each([
    [" 1", 0],
    ["1\n", 1],
    ['{"b":1,"a":2}', 2],
    ['{"a": 1}', 5],
    ["1.0", 1],
    ["-0", 0],
    ["1E21", 1],
    ['"\\u0041"', 1],
    ['"\\/"', 1],
    ['"\\u000A"', 2],
    ['"\\u001F"', 6],
    ['"\\ud83d\\ude00"', 1],
    ['{"9":1,"10":2}', 2],
    ['{"\ufb33":1,"😀":2}', 2],
  ])("%j deviates at byte %i", (text, at) => {
    expect(() => read(text)).not.toThrow();
    expect(() => readCanonical(text)).toThrow(
      `invalid JSON: not the canonical form (RFC 8785) at byte ${at}`,
    );
  });

  test.each(['{"10":1,"9":2}', '{"😀":2,"\ufb33":1}', '"\\u001f\\n\\\\ud800"', "1e+21", "null", '{"":{}}'])(
    "%s is canonical",
    (text) => expect(canonicalText(readCanonical(text))).toBe(text),
  );

  test("long texts take the same rules", () => {
    const long = "x".repeat(100_000);
    expect(readCanonical(`{"a":1,"b":"${long}"}`)).toEqual({ a: 1, b: long });
    expect(() => readCanonical(`{"b":1,"a":"${long}"}`)).toThrow("not the canonical form");
    expect(() => readCanonical(`{"a":1,"a":"${long}"}`)).toThrow("duplicate key at byte 7");
    expect(() => readCanonical(`["${long}","\\ud800"]`)).toThrow("lone surrogate");
  });
});

describe("properties", () => {
  test("what is written canonically is read back the same", () => {
    fc.assert(
      fc.property(anyJson, (value) => {
        const text = canonicalText(value);
        expect(canonicalText(readCanonical(text))).toBe(text);
        expect(read(text)).toStrictEqual(JSON.parse(text));
      }),
    );
  });

  test("every spelling of a value has one canonical form", () => {
    const escapeAll = (text: string) =>
      text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
    fc.assert(
      fc.property(anyJson, fc.constantFrom(0, 1, 4), (value, indent) => {
        const spelling = escapeAll(JSON.stringify(value, null, indent));
        expect(canonicalText(read(spelling))).toBe(canonicalText(value));
      }),
    );
  });

  test("of changed canonical bytes, only those that are canonical again are read", () => {
    const change = fc.tuple(anyJson, fc.nat(), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(change, ([value, at, byte]) => {
        const bytes = utf8(canonicalText(value));
        bytes[at % bytes.length] = byte;
        try {
          expect(utf8(canonicalText(parseCanonicalJson(bytes)))).toEqual(bytes);
        } catch (error) {
          if (!(error instanceof SplError)) throw error;
          expect(error.code).toBe("invalid_json");
        }
      }),
      { numRuns: 500 },
    );
  });

  test("nothing is read that the engine's parser refuses, or reads otherwise", () => {
    const pieces = [
      "[",
      "]",
      "{",
      "}",
      ",",
      ":",
      '"',
      '"a"',
      '"b":',
      "0",
      "1",
      "-",
      ".",
      "e",
      "+",
      "\\",
      "\\u0061",
    ];
    const text = fc.array(fc.constantFrom(...pieces, " ", "\n", "true", "null", "é"), { maxLength: 9 });
    fc.assert(
      fc.property(text, (parts) => {
        const text = parts.join("");
        let value: Json;
        try {
          value = read(text);
        } catch (error) {
          expect((error as SplError).code).toBe("invalid_json");
          return;
        }
        expect(canonicalText(value)).toBe(canonicalText(JSON.parse(text)));
      }),
      { numRuns: 5_000 },
    );
  });
});
