import { describe, expect, test } from "bun:test";
import { concatBytes, equalBytes, utf8 } from "../../lib/base/bytes.ts";
import type { SplError } from "../../lib/base/errors.ts";
import { canonicalBytes } from "../../lib/record/canonical.ts";
import { parseJson } from "../../lib/record/json.ts";
import { parseCanonicalRecord } from "../../lib/record/shape.ts";
import { vectorJson, vectorLines } from "./vectors.ts";

describe("utf8tests", () => {
  const rows = vectorLines<{ id: string; expect: "valid" | "invalid"; hex: string }>(
    "strings/utf8tests.jsonl",
  );
  const quote = utf8('"');

  test("has all its rows", () => expect(rows.length).toBe(222));

  test("damaged UTF-8 in a string is refused, and only that", () => {
    const wrong = rows.filter((row) => {
      const bytes = Uint8Array.fromHex(row.hex);
      try {
        const text = parseJson(concatBytes(quote, bytes, quote)) as string;
        return row.expect === "invalid" || !equalBytes(utf8(text), bytes);
      } catch (error) {
        expect((error as SplError).code).toBe("invalid_json");
        const control = bytes.some((byte) => byte < 0x20);
        return row.expect === "valid" && !control;
      }
    });
    expect(wrong).toEqual([]);
  });

  test("the message says where the damage is", () => {
    const damaged = concatBytes(utf8('{"ü":"'), Uint8Array.of(0xff), utf8('"}'));
    expect(() => parseJson(damaged)).toThrow("invalid JSON: not UTF-8 at byte 7");
    expect(() => parseJson(Uint8Array.of(0x22, 0xe2, 0x82))).toThrow(/not UTF-8 at byte [1-3]$/);
  });
});

describe("the big list of naughty strings", () => {
  const strings = vectorJson<string[]>("strings/blns.json");

  test("each is kept as a value and as a key of a body", () => {
    expect(strings.length).toBeGreaterThan(500);
    for (const text of strings) {
      const record = {
        act: "KNOW",
        actor: "did:sync:user:alice",
        body: { text, keys: JSON.parse(`{${JSON.stringify(text)}:1}`) },
        clock: 0,
        data_type: "SCALAR",
        parents: [],
        thread: "th_a",
      };
      const { body } = parseCanonicalRecord(canonicalBytes(record));
      expect(body.text).toBe(text);
      expect(Object.keys(body.keys as object)).toEqual([text]);
    }
  });
});
