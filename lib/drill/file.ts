import { AtomicFile } from "../base/atomic_file.ts";
import { toHex } from "../base/bytes.ts";
import { sha256 } from "../base/sha256.ts";
import type { Compression } from "../bundle/types.ts";

/** A plain bundle in the scratch folder. */
export interface BundleFile {
  path: string;
  sha256: string;
  compression: Compression;
}

/** Writes a bundle as it comes. @throws SplError disk_full, file_unreadable, and what `chunks` throws */
export async function writeBundle(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<BundleFile> {
  const file = new AtomicFile(path);
  const hash = sha256.stream();
  let head: Uint8Array = new Uint8Array();
  try {
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      if (head.length < 2) head = Buffer.concat([head, chunk.subarray(0, 2)]);
      hash.update(chunk);
      file.write(chunk);
    }
  } catch (error) {
    file.abort();
    throw error;
  }
  file.commit();
  return { path, sha256: toHex(hash.digest()), compression: compressionOf(head) };
}

export function readBack({ path }: BundleFile): AsyncIterable<Uint8Array> {
  return Bun.file(path).stream();
}

/** By the first bytes; what is no bundle at all is found by who reads it. */
function compressionOf([first, second]: Uint8Array): Compression {
  if (first === 0x1f && second === 0x8b) return "gz";
  return first === 0x28 && second === 0xb5 ? "zst" : "none";
}
