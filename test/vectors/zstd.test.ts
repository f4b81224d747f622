import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { decompressZstd } from "../../lib/bundle/zstd.ts";
import { chunked, gather, read } from "../kit/bundle_kit.ts";
import { vectorLines } from "./vectors.ts";

const FOLDER = new URL("../../fixtures/vectors/zstd/", import.meta.url);

function files(folder: string): { name: string; bytes: Uint8Array }[] {
  return readdirSync(new URL(folder, FOLDER)).map((name) => ({
    name,
    bytes: new Uint8Array(readFileSync(new URL(`${folder}/${name}`, FOLDER))),
  }));
}

const golden = files("golden-decompression");
const goldenErrors = files("golden-decompression-errors");
const bad = vectorLines<{ name: string; b64: string }>("zstd/klauspost-bad.jsonl").map(({ name, b64 }) => ({
  name,
  bytes: new Uint8Array(Buffer.from(b64, "base64")),
}));

/** A frame that leaves its content size out, with the size filled in, so that it comes as far as the decoder. */
function sized(frame: Uint8Array, size: number): Uint8Array {
  expect(frame[4]).toBe(0);
  const field = new Uint8Array(4);
  new DataView(field.buffer).setUint32(0, size, true);
  return new Uint8Array(
    Buffer.concat([frame.subarray(0, 4), Uint8Array.of(0x80, frame[5]!), field, frame.subarray(6)]),
  );
}

const decode = (bytes: Uint8Array, chunk?: number) => gather(decompressZstd(chunked(bytes, chunk)));

/** What each golden file holds: its size and SHA-256. */
const CONTENT: Record<string, [number, string]> = {
  "block-128k.zst": [131_068, "672003418993584239ec5c79232de911699178ad820cd3ca9779abbfe7f7ba7d"],
  "empty-block.zst": [0, ""],
  "rle-first-block.zst": [1_048_576, "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58"],
  "zeroSeq_2B.zst": [13, "03ba204e50d126e4674c005e04d82e84c21366780af1f43bd54a37816b6ab340"],
};

describe.each(golden)("golden $name", ({ name, bytes }) => {
  const [size, hash] = CONTENT[name]!;
  const saysSize = name === "rle-first-block.zst";

  test("decodes once it says its size, and never before", async () => {
    if (!saysSize) await expect(decode(bytes)).rejects.toThrow("a frame does not say its content size");
    const whole = saysSize ? bytes : sized(bytes, size);
    if (size === 0) {
      await expect(decode(whole)).rejects.toThrow("a frame is empty");
      return;
    }
    for (const chunk of [whole.length, 7]) {
      const plain = await decode(whole, chunk);
      expect(plain.length).toBe(size);
      expect(new Bun.CryptoHasher("sha256").update(plain).digest("hex")).toBe(hash);
    }
  });
});

describe.each(goldenErrors)("golden error $name", ({ bytes }) => {
  test("is refused, also when it says a size", async () => {
    await expect(decode(bytes)).rejects.toMatchObject({ code: "bundle_malformed" });
    for (const size of [1, 100, 131_072]) {
      await expect(decode(sized(bytes, size))).rejects.toMatchObject({ code: "bundle_malformed" });
    }
  });
});

test.each(bad)("klauspost $name is refused", async ({ bytes }) => {
  expect(bad.length).toBe(16);
  await expect(decode(bytes)).rejects.toMatchObject({ code: "bundle_malformed" });
  await expect(decode(bytes, 1)).rejects.toMatchObject({ code: "bundle_malformed" });
  await expect(read(bytes)).rejects.toMatchObject({ code: "bundle_malformed" });
});
