import { crc32 } from "../base/crc32.ts";
import { malformed } from "./malformed.ts";
import { through } from "./pipeline.ts";

/**
 * Gzip (RFC 1952) as a single member without name, comment or time. The deflate stream inside comes from the
 * runtime; header and trailer are read and written here, because ready-made readers accept further members.
 */

/** Magic, deflate, no flags, mtime 0, no extra flags, operating system "Unix". */
const HEADER = new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
const FLAGS = 3;
const TRAILER_BYTES = 8;

/** Blocks of a fixed size give the same bytes for the same content; other sizes compress differently. */
export async function* compressGzip(blocks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const sum = new Checksum();
  yield HEADER;
  yield* through(sum.watch(blocks), new CompressionStream("deflate-raw"));
  yield sum.trailer();
}

/** @throws SplError bundle_malformed for damage, truncation, header fields, and bytes behind the one member */
export async function* decompressGzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const sum = new Checksum();
  const envelope = new Envelope();
  try {
    yield* sum.watch(through(envelope.strip(chunks), new DecompressionStream("deflate-raw")));
  } catch (error) {
    if (envelope.sourceFailed) throw error;
    throw malformed("gzip", "is damaged, truncated, or has bytes behind its end", error);
  }
  if (!sum.trailer().every((byte, i) => byte === envelope.trailer[i])) {
    throw malformed("gzip", "the checksum does not match the content");
  }
}

/** CRC-32 and length of what passes. */
class Checksum {
  #crc = 0;
  #length = 0;

  async *watch(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.#crc = crc32(chunk, this.#crc);
      this.#length += chunk.length;
      yield chunk;
    }
  }

  trailer(): Uint8Array {
    const trailer = new DataView(new ArrayBuffer(TRAILER_BYTES));
    trailer.setUint32(0, this.#crc, true);
    trailer.setUint32(4, this.#length % 2 ** 32, true);
    return new Uint8Array(trailer.buffer);
  }
}

/** Takes header and trailer off a gzip member. */
class Envelope {
  trailer: Uint8Array = new Uint8Array(0);
  /** True when an error came from the source or the header, so that it must pass unchanged. */
  sourceFailed = false;

  async *strip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let held: Uint8Array = new Uint8Array(0);
    let header = false;
    try {
      for await (const chunk of chunks) {
        held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
        if (!header) {
          if (held.length < HEADER.length) continue;
          checkHeader(held);
          held = held.subarray(HEADER.length);
          header = true;
        }
        const ready = held.length - TRAILER_BYTES;
        if (ready <= 0) continue;
        yield held.subarray(0, ready);
        held = held.slice(ready);
      }
      if (!header || held.length < TRAILER_BYTES) throw malformed("gzip", "is truncated");
    } catch (error) {
      this.sourceFailed = true;
      throw error;
    }
    this.trailer = held;
  }
}

function checkHeader(bytes: Uint8Array): void {
  if (bytes[0] !== HEADER[0] || bytes[1] !== HEADER[1] || bytes[2] !== HEADER[2]) {
    throw malformed("gzip", "is not gzip with deflate");
  }
  if (bytes[FLAGS] !== 0) throw malformed("gzip", "its header carries a name or other fields (use gzip -n)");
}
