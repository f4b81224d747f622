import { describe, expect, test } from "bun:test";
import { inflateSync } from "node:zlib";
import { SplError } from "../../lib/base/errors.ts";
import { parseCanonicalJson, parseJson } from "../../lib/record/json.ts";
import { vectorLines } from "./vectors.ts";

interface Row {
  name: string;
  expect: "accept" | "reject" | "either";
  b64?: string;
  zlib_b64?: string;
}

const rows = vectorLines<Row>("json/jsontestsuite-parsing.jsonl");
const named = (expected: Row["expect"]) => rows.filter((row) => row.expect === expected);

function bytesOf(row: Row): Uint8Array {
  if (row.b64 !== undefined) return Uint8Array.fromBase64(row.b64);
  return new Uint8Array(inflateSync(Uint8Array.fromBase64(row.zlib_b64!)));
}

function verdict(bytes: Uint8Array): "accepted" | "refused" {
  try {
    parseJson(bytes);
    return "accepted";
  } catch (error) {
    expect(error).toBeInstanceOf(SplError);
    expect((error as SplError).code).toBe("invalid_json");
    expect((error as SplError).message).toMatch(/^invalid JSON: .+ at byte \d+$/);
    return "refused";
  }
}

/** Valid JSON of which I-JSON says that no two readers agree what it means. */
const DUPLICATES = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];
/** What RFC 8259 leaves open and this project takes: rounding of fractions, and an integer that JCS prints as it is. */
const TAKEN = [
  "i_number_double_huge_neg_exp.json",
  "i_number_real_underflow.json",
  "i_number_too_big_pos_int.json",
];

describe("JSONTestSuite", () => {
  test("has all its rows", () => {
    expect([named("accept").length, named("reject").length, named("either").length]).toEqual([95, 188, 35]);
  });

  test.each(named("accept"))("$name", (row) => {
    const bytes = bytesOf(row);
    expect(verdict(bytes)).toBe(DUPLICATES.includes(row.name) ? "refused" : "accepted");
    if (DUPLICATES.includes(row.name)) return;
    const plain = JSON.parse(new TextDecoder().decode(bytes));
    expect(JSON.stringify(parseJson(bytes))).toBe(JSON.stringify(plain));
  });

  test.each(named("reject"))("$name", (row) => {
    expect(verdict(bytesOf(row))).toBe("refused");
    expect(() => parseCanonicalJson(bytesOf(row))).toThrow(SplError);
  });

  test.each(named("either"))("$name", (row) => {
    expect(verdict(bytesOf(row))).toBe(TAKEN.includes(row.name) ? "accepted" : "refused");
  });
});
