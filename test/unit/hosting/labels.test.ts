import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { SplError } from "../../../lib/base/errors.ts";
import { checkLabel, faultOf } from "../../../lib/hosting/labels.ts";

/** RFC 1035, section 2.3.1, and RFC 5891, section 4.2.3.1, in the narrow form of the spec. */
const SHAPE = /^[a-z0-9-]{3,32}$/;

function refusal(text: string): SplError {
  try {
    checkLabel(text);
  } catch (error) {
    if (error instanceof SplError) return error;
  }
  throw new Error(`${text} was taken`);
}

describe("labels", () => {
  test("three to 32 of a-z, 0-9 and hyphens are taken as they are", () => {
    for (const label of ["abc", "my-team", "a1b", "007", "x".repeat(32), "a--b", "team-2026"]) {
      expect(checkLabel(label)).toBe(label);
    }
  });

  test("each fault is told in words", () => {
    const faults = [
      ["", "too short"],
      ["ab", "too short"],
      ["x".repeat(33), "too long"],
      ["x".repeat(100_000), "too long"],
      ["-abc", "begins or ends with a hyphen"],
      ["abc-", "begins or ends with a hyphen"],
      ["Team", "capital letters"],
      ["my team", "a space"],
      ["a.b.c", "it has ."],
      ["a/../b", "it has /"],
      ["abc\r\nSet-Cookie: x", "U+000D"],
      ["abc\0", "U+0000"],
      ["abc\u001b[31m", "U+001B"],
      ["ab\u007f", "U+007F"],
      ["a%2eb", "it has %"],
      ["xn--team", "two hyphens"],
      ["ab--cd", "two hyphens"],
      ["www", "reserved"],
      ["first-run", "reserved"],
      ["localhost", "reserved"],
    ] as const;
    for (const [text, fault] of faults)
      expect([text, faultOf(text)]).toEqual([text, expect.stringContaining(fault)]);
  });

  test("what only looks like a-z is refused by its code point", () => {
    const lookAlikes = [
      ["t\u0435am", "U+0435"], // Cyrillic
      ["t\u03b5am", "U+03B5"], // Greek
      ["te\u0430m", "U+0430"],
      ["\uff54eam", "U+FF54"], // full width
      ["te\u00e4m", "U+00E4"],
      ["tea\u0300m", "U+0300"], // combining
      ["te\u200bam", "U+200B"], // zero width
      ["te\u00adam", "U+00AD"], // soft hyphen
      ["te\u2010am", "U+2010"], // another hyphen
      ["te\u202eam", "U+202E"], // right to left
      ["tea\u{1d426}", "U+1D426"], // mathematical bold
      ["team\u0661", "U+0661"], // Arabic-Indic digit
      ["te\ud800am", "U+D800"], // half of a pair
      ["\u017ftart", "U+017F"], // upper case of it is S
      ["\u212aelvin", "U+212A"], // lower case of it is k
    ] as const;
    for (const [text, point] of lookAlikes) {
      expect([text, faultOf(text)]).toEqual([text, expect.stringContaining(point)]);
    }
  });

  test("the refusal says what to type, and nothing of it can pass for something else", () => {
    const { code, message, hint } = refusal("evil\u202e\r\nHost: x\u001b[2J");
    expect(code).toBe("invalid_request");
    expect(message).toMatch(/^[ -~]+$/);
    expect(hint).toBe("use 3 to 32 of a-z, 0-9 and -");
    expect(refusal("x".repeat(100_000)).message.length).toBeLessThan(200);
  });

  test("whatever is taken has the shape of a DNS label in lower case", () => {
    const anything = fc.oneof(
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.stringMatching(/^[a-z0-9-]{1,40}$/),
      fc.stringMatching(/^[a-z0-9.\-_A-Z]{1,40}$/),
    );
    fc.assert(
      fc.property(anything, (text) => {
        if (faultOf(text) !== null) return;
        expect(text).toMatch(SHAPE);
        expect(new URL(`http://${text}.example.com`).hostname).toBe(`${text}.example.com`);
        expect(text).not.toMatch(/^-|-$|^..--/);
      }),
      { numRuns: 2000 },
    );
  });

  test("of the right shape, only hyphens in odd places and reserved names are refused", () => {
    fc.assert(
      fc.property(fc.stringMatching(SHAPE), (text) => {
        const fault = faultOf(text);
        const odd = /^-|-$|^..--/.test(text);
        expect(odd ? fault !== null : fault === null || fault === "it is reserved").toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
