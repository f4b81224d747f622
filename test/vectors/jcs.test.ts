import { describe, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { toHex } from "../../lib/base/bytes.ts";
import { canonicalBytes, canonicalText } from "../../lib/record/canonical.ts";
import { recordId } from "../../lib/record/id.ts";
import { parseCanonicalJson, parseJson } from "../../lib/record/json.ts";
import { vectorBytes, vectorLines } from "./vectors.ts";

interface Row {
  name: string;
  input_b64: string;
  canonical_b64: string;
  canonical_sha256: string;
}

describe("cyberphone's test data", () => {
  test.each(vectorLines<Row>("jcs/cyberphone-testdata.jsonl"))("$name", (row) => {
    const input = Uint8Array.fromBase64(row.input_b64);
    const bytes = canonicalBytes(parseJson(input));
    expect(bytes.toBase64()).toBe(row.canonical_b64);
    expect(recordId(bytes)).toBe(row.canonical_sha256);
    expect(canonicalText(parseCanonicalJson(bytes))).toBe(canonicalText(parseJson(input)));
    expect(() => parseCanonicalJson(input)).toThrow(
      "invalid JSON: not the canonical form (RFC 8785) at byte",
    );
  });
});

describe("10,000 numbers", () => {
  const lines = new TextDecoder().decode(gunzipSync(vectorBytes("jcs/es6numbers-10000.txt.gz")));
  const rows = lines.trimEnd().split("\n");

  test("every double is printed as ECMAScript does, and read back as the same double", () => {
    expect(rows.length).toBe(10_000);
    const view = new DataView(new ArrayBuffer(8));
    const wrong = rows.filter((row) => {
      const [hex, text] = row.split(",") as [string, string];
      view.setBigUint64(0, BigInt(`0x${hex}`));
      if (canonicalText(view.getFloat64(0)) !== text) return true;
      view.setFloat64(0, parseCanonicalJson(new TextEncoder().encode(text)) as number);
      return text !== "0" && toHex(new Uint8Array(view.buffer)) !== hex.padStart(16, "0");
    });
    expect(wrong).toEqual([]);
  });
});
