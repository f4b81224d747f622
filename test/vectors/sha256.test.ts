import { describe, expect, test } from "bun:test";
import { toHex } from "../../lib/base/bytes.ts";
import { nobleSha256 } from "../../lib/base/sha256.noble.ts";
import { sha256 } from "../../lib/base/sha256.ts";
import { vectorBytes } from "./vectors.ts";

const text = new TextDecoder().decode(vectorBytes("sha256/SHA256ShortMsg.rsp"));
const rows = [...text.matchAll(/Len = (\d+)\s+Msg = ([0-9a-f]+)\s+MD = ([0-9a-f]{64})/g)].map(
  ([, bits, message, digest]) => ({
    message: Uint8Array.fromHex(message!).subarray(0, Number(bits) / 8),
    digest: digest!,
  }),
);

describe.each([
  ["native", sha256],
  ["noble", nobleSha256],
])("NIST short messages, %s", (_, provider) => {
  test("in one piece", () => {
    expect(rows.length).toBe(65);
    expect(rows.map(({ message }) => toHex(provider.hash(message)))).toEqual(
      rows.map(({ digest }) => digest),
    );
  });

  test("byte by byte", () => {
    for (const { message, digest } of rows) {
      const stream = provider.stream();
      for (const byte of message) stream.update(Uint8Array.of(byte));
      expect(toHex(stream.digest())).toBe(digest);
    }
  });
});
