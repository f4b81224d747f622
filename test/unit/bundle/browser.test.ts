import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { crc32 as plainCrc32 } from "../../../lib/base/crc32.plain.ts";
import { crc32 } from "../../../lib/base/crc32.ts";
import { MAX_FRAME_BYTES } from "../../../lib/base/limits.ts";
import { decompressFrame } from "../../../lib/bundle/zstd_frame.ts";
import { decompressFrame as decompressInWasm } from "../../../lib/bundle/zstd_frame.wasm.ts";
import manifest from "../../../package.json";
import { vectorLines } from "../../vectors/vectors.ts";

/** What a browser runs in the place of native code has to come to the same verdicts. */

const ROOT = new URL("../../../", import.meta.url);

test.each(Object.entries(manifest.browser))(
  "%s has a stand-in that offers the same",
  async (native, standIn) => {
    const [offered, instead] = await Promise.all(
      [native, standIn].map(async (path) => Object.keys(await import(new URL(path, ROOT).href))),
    );
    expect(instead).toEqual(expect.arrayContaining(offered!));
  },
);

test("CRC-32 in plain JavaScript is the native one, in pieces as well", () => {
  expect(plainCrc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      expect(plainCrc32(a)).toBe(crc32(a));
      expect(plainCrc32(b, plainCrc32(a))).toBe(crc32(Buffer.concat([a, b])));
    }),
  );
});

/** The content, or null when the decoder refuses, or gives another size than promised. */
async function verdict(
  decode: typeof decompressFrame,
  frame: Uint8Array,
  size: number,
): Promise<Uint8Array | null> {
  const plain = await decode(frame, size).catch(() => null);
  return plain?.length === size ? new Uint8Array(plain) : null;
}

async function agree(frame: Uint8Array, size: number): Promise<Uint8Array | null> {
  const native = await verdict(decompressFrame, frame, size);
  expect(await verdict(decompressInWasm, frame, size)).toEqual(native);
  return native;
}

describe("Zstandard in WebAssembly judges frames as the native decoder does", () => {
  const text = new TextEncoder().encode("the same words, and the same words again; ".repeat(20));

  test.each([0, 1])("every flipped bit of one, with %d checksums", async (checksumFlag) => {
    const frame = new Uint8Array(zstdCompressSync(text, { params: { 201: checksumFlag } }));
    expect(await agree(frame, text.length)).toEqual(text);
    let refused = 0;
    for (let bit = 0; bit < frame.length * 8; bit++) {
      const flipped = frame.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      if ((await agree(flipped, text.length)) === null) refused++;
    }
    expect(refused).toBeGreaterThan(frame.length);
    for (let end = 0; end < frame.length; end++)
      expect(await agree(frame.subarray(0, end), text.length)).toBeNull();
  });

  test("the vectors that others found faulty", async () => {
    const folder = new URL("fixtures/vectors/zstd/golden-decompression-errors/", ROOT);
    const golden = readdirSync(folder).map((name) => new Uint8Array(readFileSync(new URL(name, folder))));
    const bad = vectorLines<{ b64: string }>("zstd/klauspost-bad.jsonl").map(({ b64 }) =>
      Uint8Array.fromBase64(b64),
    );
    for (const frame of [...golden, ...bad]) for (const size of [1, 100, 131_072]) await agree(frame, size);
  });

  test("one of the largest size, of content that does not compress, many times over", async () => {
    const noise = new Uint8Array(MAX_FRAME_BYTES);
    for (let at = 0; at < noise.length; at += 65_536) crypto.getRandomValues(noise.subarray(at, at + 65_536));
    const frame = await Bun.zstdCompress(noise);
    for (let n = 0; n < 20; n++) {
      const plain = await decompressInWasm(frame, noise.length);
      expect(Buffer.compare(plain, noise)).toBe(0);
    }
  });
});
