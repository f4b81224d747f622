import { SplError } from "../base/errors.ts";
import { isEncrypted } from "./encrypt.ts";
import { compressGzip, decompressGzip } from "./gzip.ts";
import { refusal } from "./malformed.ts";
import { peek } from "./pipeline.ts";
import type { Compression } from "./types.ts";
import { compressZstd, decompressZstd } from "./zstd.ts";

/** Which compression a bundle has: by its name when it is written, by its first bytes when it is read. */

const HEAD_BYTES = 512;

/** `.tar.gz` and `.tgz` mean gzip, `.tar` none, anything else Zstandard; a final `.age` is set aside. */
export function compressionOf(path: string): Compression {
  const name = path.replace(/\.age$/, "");
  return /\.(tar\.gz|tgz)$/.test(name) ? "gz" : name.endsWith(".tar") ? "none" : "zst";
}

/** @param release called with each block whose bytes are not needed any more; not for every compression */
export function compress(
  blocks: AsyncIterable<Uint8Array>,
  compression: Compression,
  release: (block: Uint8Array) => void = () => undefined,
): AsyncIterable<Uint8Array> {
  if (compression === "zst") return compressZstd(blocks, release);
  return compression === "gz" ? compressGzip(blocks) : blocks;
}

/**
 * The tar inside a file, whatever its compression.
 * @throws SplError bundle_malformed, bundle_locked (the file is encrypted)
 */
export async function* decompress(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { head, all } = await peek(chunks, HEAD_BYTES);
  try {
    yield* pick(head)(all);
  } finally {
    await all.return();
  }
}

function pick(head: Uint8Array): (all: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array> {
  if (head.length === 0) throw refusal("not a bundle: the file is empty");
  if (isEncrypted(head)) {
    throw new SplError("bundle_locked", "the bundle is encrypted", { hint: "pass --decrypt-key FILE" });
  }
  if (isZstd(head)) return decompressZstd;
  if (head[0] === 0x1f && head[1] === 0x8b) return decompressGzip;
  if (Buffer.from(head).toString("latin1", 257, 262) === "ustar") return (all) => all;
  throw refusal("not a bundle: the file is neither tar nor compressed with zstd or gzip");
}

/** The magic number of a frame, or of a skippable one, which the decoder then names and refuses. */
function isZstd(head: Uint8Array): boolean {
  const [a, b, c, d] = head;
  return (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) || (b === 0x2a && c === 0x4d && d === 0x18);
}
