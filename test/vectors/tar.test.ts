import { describe, expect, test } from "bun:test";
import { inflateSync } from "node:zlib";
import { compress } from "../../lib/bundle/compression.ts";
import { readTar } from "../../lib/bundle/tar.ts";
import { chunked, gather, read } from "../kit/bundle_kit.ts";
import { vectorLines } from "./vectors.ts";

interface Row {
  name: string;
  len: number;
  sha256: string;
  flags: string[];
  zlib_b64: string;
}

/** Archives that other tar readers are tested with: hostile ones, damaged ones, and good ones of other makers. */
const corpus = vectorLines<Row>("tar/tar-corpus.jsonl").map((row) => ({
  ...row,
  bytes: new Uint8Array(inflateSync(Buffer.from(row.zlib_b64, "base64"))),
}));

const anyMember = () => Number.MAX_SAFE_INTEGER;

test("the corpus is whole and holds every kind of attack", () => {
  expect(corpus.length).toBe(78);
  for (const { bytes, len, sha256 } of corpus) {
    expect(bytes.length).toBe(len);
    expect(new Bun.CryptoHasher("sha256").update(bytes).digest("hex")).toBe(sha256);
  }
  const kinds = new Set(corpus.flatMap(({ flags }) => flags));
  for (const kind of [
    "dotdot",
    "absolute",
    "symlink",
    "hardlink",
    "device",
    "fifo",
    "pax_size",
    "gnu_longname",
  ]) {
    expect(kinds).toContain(kind);
  }
});

describe.each(corpus)("$name", ({ bytes }) => {
  test("is refused as a bundle, plain and compressed", async () => {
    await expect(read(bytes)).rejects.toMatchObject({ code: "bundle_malformed" });
    for (const compression of ["zst", "gz"] as const) {
      const file = await gather(compress(chunked(bytes), compression));
      await expect(read(file)).rejects.toMatchObject({ code: "bundle_malformed" });
    }
  });

  test("has no member that the tar reader would give away, even if its name were allowed", async () => {
    const split = Array.fromAsync(readTar(chunked(bytes), anyMember));
    await expect(split).rejects.toMatchObject({ code: "bundle_malformed" });
    const slowly = Array.fromAsync(readTar(chunked(bytes.subarray(0, 4096), 1), anyMember));
    await expect(slowly).rejects.toMatchObject({ code: "bundle_malformed" });
  });
});
