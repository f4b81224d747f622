import { describe, expect, test } from "bun:test";
import { crc32, deflateRawSync, gzipSync } from "node:zlib";
import { gunzipSync } from "fflate";
import { FRAME_BYTES, MAX_FRAME_BYTES } from "../../../lib/base/limits.ts";
import { compress, compressionOf, decompress } from "../../../lib/bundle/compression.ts";
import { decompressGzip } from "../../../lib/bundle/gzip.ts";
import { decompressZstd } from "../../../lib/bundle/zstd.ts";
import { chunked, gather, pack } from "../../kit/bundle_kit.ts";
import { outside, zstdCodec } from "../../kit/outside.ts";

/** A tar of two and a half frames that compresses a little. */
const TAR = pack([
  {
    path: "noise",
    data: new Uint8Array(Buffer.from("x".repeat(10 * 1024 * 1024), "latin1").map((_, i) => i * i)),
  },
]);

async function refusal(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  try {
    for await (const _ of chunks);
  } catch (error) {
    return (error as Error).message;
  }
  return "read";
}

const blocks = () => chunked(TAR, FRAME_BYTES);

/** A zstd frame of RLE blocks: header as given, then `count` blocks of `size` zeros. */
function bomb(header: number[], count: number, size = 128 * 1024): Uint8Array {
  const frame = [0x28, 0xb5, 0x2f, 0xfd, ...header];
  for (let i = 1; i <= count; i++) {
    const block = (size << 3) | (1 << 1) | (i === count ? 1 : 0);
    frame.push(block & 255, (block >> 8) & 255, block >> 16, 0);
  }
  return Uint8Array.from(frame);
}

/** Four bytes, least significant first. */
const u32 = (n: number) => [n & 255, (n >> 8) & 255, (n >> 16) & 255, n >>> 24];
/** Frame header descriptor: content size in four bytes, then a window of 2 MiB. */
const SIZED = [0x80, 0x58];

test("the name says the compression", () => {
  const names = ["a.tar.zst", "a", "a.tar.gz", "a.tgz", "a.tar", "a.tar.gz.age", "a.tar.age", "-"];
  expect(names.map(compressionOf)).toEqual(["zst", "zst", "gz", "gz", "none", "gz", "none", "zst"]);
});

describe.each(["zst", "gz", "none"] as const)("%s", (compression) => {
  test("comes back whole, in chunks of any size", async () => {
    const file = await gather(compress(blocks(), compression));
    for (const size of [file.length, 65_536, 4_099]) {
      expect(Buffer.compare(await gather(decompress(chunked(file, size))), TAR)).toBe(0);
    }
    const tiny = await gather(compress(chunked(TAR.subarray(0, 2048)), compression));
    expect(Buffer.compare(await gather(decompress(chunked(tiny, 1))), TAR.subarray(0, 2048))).toBe(0);
  });

  test("the same content gives the same bytes", async () => {
    const [a, b] = [
      await gather(compress(blocks(), compression)),
      await gather(compress(blocks(), compression)),
    ];
    expect(Buffer.compare(a, b)).toBe(0);
  });

  test("an error of the source comes out as it is", async () => {
    const file = await gather(compress(blocks(), compression));
    async function* broken() {
      yield file.subarray(0, file.length / 2);
      throw new Error("the disk is gone");
    }
    expect(await refusal(decompress(broken()))).toBe("the disk is gone");
    expect(await refusal(compress(broken(), compression))).toBe("the disk is gone");
  });

  test("whoever stops reading closes the source", async () => {
    const file = await gather(compress(blocks(), compression));
    let closed = false;
    async function* watched() {
      try {
        yield* chunked(file, 65_536);
      } finally {
        closed = true;
      }
    }
    for await (const _ of decompress(watched())) break;
    expect(closed).toBe(true);
  });
});

describe("zstd", () => {
  test("the reference decoder reads each frame", async () => {
    const decode = await zstdCodec();
    const frames = await Array.fromAsync(compress(blocks(), "zst"));
    expect(frames.length).toBe(3);
    expect(Buffer.compare(Buffer.concat(frames.map(decode)), TAR)).toBe(0);
  });

  test("a file cut anywhere else than between frames is refused", async () => {
    const frames = await Array.fromAsync(compress(chunked(new Uint8Array(4096).fill(9), 2048), "zst"));
    const file = Buffer.concat(frames);
    for (let end = 1; end < file.length; end++) {
      if (end === frames[0]!.length) continue;
      const message = await refusal(decompressZstd(chunked(file.subarray(0, end))));
      expect(message).toBe("bundle malformed: zstd: ends in the middle of a frame");
    }
  });

  const frame = Bun.zstdCompressSync(new Uint8Array(1000).fill(5));
  const skippable = Uint8Array.from([0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
  test.each<[string, Uint8Array, string]>([
    ["a skippable frame in front", Buffer.concat([skippable, frame]), "holds a skippable frame"],
    ["a skippable frame behind", Buffer.concat([frame, skippable]), "holds a skippable frame"],
    [
      "bytes behind the last frame",
      Buffer.concat([frame, Buffer.from("garbage")]),
      "has bytes that are no frame",
    ],
    ["a single byte behind", Buffer.concat([frame, new Uint8Array(1)]), "ends in the middle of a frame"],
    ["no content size", bomb([0x00, 0x58], 1), "does not say its content size"],
    ["a window of 2 GiB", bomb([0x80, 0xa8, ...u32(1024)], 1), "window is larger than 8388608"],
    [
      "a content size of 2^62",
      bomb([0xc0, 0x58, 0, 0, 0, 0, 0, 0, 0, 0x40], 1),
      "content is larger than 8388608",
    ],
    ["a frame without content", bomb([...SIZED, ...u32(0)], 1, 0), "a frame is empty"],
    ["a dictionary", bomb([0x81, 0x58, 7, ...u32(1024)], 1), "asks for a dictionary"],
    ["the reserved bit", bomb([0x88, 0x58, ...u32(1024)], 1), "sets reserved bits"],
    ["the unused bit", bomb([0x90, 0x58, ...u32(1024)], 1), "sets reserved bits"],
    [
      "a block of the reserved type",
      Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 7, 0, 0]),
      "reserved type",
    ],
    ["less content than it says", bomb([...SIZED, ...u32(9 * 131072)], 8), "a frame is damaged"],
    ["more content than it says", bomb([...SIZED, ...u32(10)], 8192), "a frame is damaged"],
    ["blocks without end", bomb([...SIZED, ...u32(10)], 3_000_000, 0), "a frame is too long"],
  ])("refuses %s", async (_, file, what) => {
    expect(await refusal(decompressZstd(chunked(file, 65_536)))).toContain(what);
  });

  test("a gigabyte in 33 KB is refused before it unfolds", async () => {
    const honest = Bun.zstdCompressSync(new Uint8Array(MAX_FRAME_BYTES + 1));
    expect(await refusal(decompressZstd(chunked(honest)))).toContain("content is larger than 8388608 bytes");
    const gigabyte = bomb([...SIZED, ...u32(1 << 30)], 8192);
    const lying = bomb([...SIZED, ...u32(MAX_FRAME_BYTES)], 8192);
    expect(gigabyte.length).toBeLessThan(33 * 1024);
    const before = process.memoryUsage().rss;
    expect(await refusal(decompressZstd(chunked(gigabyte)))).toContain(
      "content is larger than 8388608 bytes",
    );
    expect(await refusal(decompressZstd(chunked(lying)))).toContain("a frame is damaged");
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });

  test("takes what the zstd program writes of a small file", async () => {
    const flags = ["-19", "-c", "--check", "--stream-size=2048"];
    const checked = outside(["zstd", ...flags], { stdin: TAR.subarray(0, 2048) });
    expect(Buffer.compare(await gather(decompressZstd(chunked(checked))), TAR.subarray(0, 2048))).toBe(0);
    checked[checked.length - 1]! ^= 1;
    expect(await refusal(decompressZstd(chunked(checked)))).toContain("a frame is damaged");
  });
});

describe("gzip", () => {
  test("an independent decoder reads it", async () => {
    expect(Buffer.compare(gunzipSync(await gather(compress(blocks(), "gz"))), TAR)).toBe(0);
  });

  test("its header holds no time and no host", async () => {
    const file = await gather(compress(blocks(), "gz"));
    expect(file.subarray(0, 10).toHex()).toBe("1f8b0800000000000003");
  });

  const content = Buffer.from("content ".repeat(500));
  const member = new Uint8Array(gzipSync(content));
  const changed = (at: number) => {
    const copy = member.slice();
    copy[at < 0 ? copy.length + at : at]! ^= 1;
    return copy;
  };
  /** A whole deflate stream with another one behind it, then a trailer that fits both. */
  const twofold = Buffer.concat([
    member.subarray(0, 10),
    deflateRawSync(content),
    deflateRawSync(content),
    Uint8Array.from([...u32(crc32(Buffer.concat([content, content]))), ...u32(content.length * 2)]),
  ]);
  test.each<[string, Uint8Array]>([
    ["a second member", Buffer.concat([member, member])],
    ["an empty second member", Buffer.concat([member, gzipSync("")])],
    ["a zero behind", Buffer.concat([member, new Uint8Array(1)])],
    ["zeros behind", Buffer.concat([member, new Uint8Array(512)])],
    ["a second deflate stream", twofold],
    ["a wrong checksum", changed(-8)],
    ["a wrong length", changed(-1)],
    ["damaged content", changed(12)],
    ["a file name", changed(3)],
    ["another method", changed(2)],
    ["nothing but a header", member.subarray(0, 10)],
    ["nothing", member.subarray(0, 0)],
  ])("refuses %s", async (_, file) => {
    expect(await refusal(decompressGzip(chunked(file)))).toStartWith("bundle malformed: gzip: ");
  });

  test("a file cut anywhere is refused", async () => {
    for (let end = 0; end < member.length; end++) {
      const message = await refusal(decompressGzip(chunked(member.subarray(0, end))));
      expect(message).toStartWith("bundle malformed: gzip: ");
    }
  });

  test("a gigabyte in a megabyte comes in pieces that can be refused", async () => {
    const deflated = deflateRawSync(new Uint8Array(1 << 26));
    const many = Buffer.concat([member.subarray(0, 10), deflated, new Uint8Array(8)]);
    const before = process.memoryUsage().rss;
    for await (const piece of decompressGzip(chunked(many))) {
      expect(piece.length).toBeLessThan(4 * 1024 * 1024);
      break;
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });
});

describe("what is no bundle is said at once", () => {
  test.each<[string, Uint8Array]>([
    ["text", Buffer.from("hello, world\n".repeat(100))],
    ["zeros", new Uint8Array(4096)],
    ["two bytes", Uint8Array.of(1, 2)],
    ["a zip", Buffer.from("PK\x03\x04".padEnd(600, "\0"), "latin1")],
    ["an empty file", new Uint8Array(0)],
  ])("%s", async (_, file) => {
    expect(await refusal(decompress(chunked(file)))).toStartWith("bundle malformed: not a bundle: ");
  });

  test("an endless source is left after its first bytes", async () => {
    let given = 0;
    let closed = false;
    async function* zeros() {
      try {
        for (;;) {
          given += 64;
          yield new Uint8Array(64);
        }
      } finally {
        closed = true;
      }
    }
    expect(await refusal(decompress(zeros()))).toStartWith("bundle malformed: not a bundle: ");
    expect({ given, closed }).toEqual({ given: 512, closed: true });
  });

  test("an encrypted bundle asks for its key", async () => {
    const file = Buffer.from("age-encryption.org/v1\n-> X25519 abc\n");
    expect(await refusal(decompress(chunked(file)))).toBe("the bundle is encrypted");
  });
});
