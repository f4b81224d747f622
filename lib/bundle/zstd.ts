import { MAX_FRAME_BYTES } from "../base/limits.ts";
import { malformed } from "./malformed.ts";
import { overlapped } from "./pipeline.ts";
import { decompressFrame } from "./zstd_frame.ts";

/**
 * Zstandard (RFC 8878) as a sequence of independent frames, each of which says its content size. Frames are
 * cut by reading their headers, since the decoder alone would not notice what lies between or behind them.
 */

const LEVEL = 3;
const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const MAX_WINDOW = 8 * 1024 * 1024;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;
/** Incompressible content grows by a few bytes for each block; anything beyond that is no honest frame. */
const MAX_COMPRESSED_BYTES = MAX_FRAME_BYTES + 64 * 1024;

/** One frame for each block (of at most `FRAME_BYTES`), compressed beside the work that makes the next. */
export function compressZstd(
  blocks: AsyncIterable<Uint8Array>,
  release: (block: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  return overlapped(blocks, 3, async (block) => {
    const frame = await Bun.zstdCompress(block, { level: LEVEL });
    release(block);
    return frame;
  });
}

/** @throws SplError bundle_malformed for anything but whole frames of at most `MAX_FRAME_BYTES` */
export function decompressZstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  return overlapped(readFrames(chunks), 2, decodeFrame);
}

interface Frame {
  bytes: Uint8Array;
  /** Plain bytes that the frame's header promises. */
  contentSize: number;
}

async function decodeFrame(frame: Frame): Promise<Uint8Array> {
  const plain = await decompressFrame(frame.bytes, frame.contentSize).catch((error: unknown) => {
    throw malformed("zstd", "a frame is damaged", error);
  });
  if (plain.length !== frame.contentSize) throw malformed("zstd", "a frame's content size is wrong");
  return plain;
}

async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  const cutter = new FrameCutter();
  for await (const chunk of chunks) yield* cutter.push(chunk);
  cutter.end();
}

class FrameCutter {
  /** Bytes `#start` to `#end` are not yet handed out. */
  #held = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #contentSize = 0;
  /** How far the frame's headers are read, from `#start`; 0 before its first header is complete. */
  #read = 0;
  #trailer = 0;
  #lastBlock = false;

  *push(chunk: Uint8Array): Generator<Frame> {
    this.#append(chunk);
    for (let frame = this.#cut(); frame !== null; frame = this.#cut()) yield frame;
  }

  end(): void {
    if (this.#end > this.#start) throw malformed("zstd", "ends in the middle of a frame");
  }

  #append(chunk: Uint8Array): void {
    const length = this.#end - this.#start + chunk.length;
    if (length > this.#held.length) {
      const larger = new Uint8Array(Math.max(length, this.#held.length * 2));
      larger.set(this.#held.subarray(this.#start, this.#end));
      this.#held = larger;
    } else if (this.#end + chunk.length > this.#held.length) {
      this.#held.copyWithin(0, this.#start, this.#end);
    } else {
      this.#held.set(chunk, this.#end);
      this.#end += chunk.length;
      return;
    }
    this.#end -= this.#start;
    this.#start = 0;
    this.#held.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next frame, or null when its end has not arrived. */
  #cut(): Frame | null {
    if (this.#read === 0 && !this.#readHeader()) return null;
    const bytes = this.#held;
    while (!this.#lastBlock) {
      const at = this.#start + this.#read;
      if (at + 3 > this.#end) return null;
      const header = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
      const type = (header >> 1) & 3;
      if (type === RESERVED_BLOCK) throw malformed("zstd", "a block has the reserved type");
      this.#read += 3 + (type === RLE_BLOCK ? 1 : header >> 3);
      this.#lastBlock = (header & 1) === 1;
      if (this.#read > MAX_COMPRESSED_BYTES) throw malformed("zstd", "a frame is too long");
    }
    const end = this.#start + this.#read + this.#trailer;
    if (end > this.#end) return null;
    const frame = { bytes: bytes.slice(this.#start, end), contentSize: this.#contentSize };
    this.#start = end;
    this.#read = 0;
    this.#lastBlock = false;
    return frame;
  }

  /** Reads and judges a frame's header (RFC 8878, section 3.1.1.1); false when it has not arrived whole. */
  #readHeader(): boolean {
    const header = new DataView(this.#held.buffer, this.#start, this.#end - this.#start);
    if (header.byteLength < 5) return false;
    const magic = header.getUint32(0, true);
    // Sixteen magic numbers differ in their last four bits.
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) throw malformed("zstd", "holds a skippable frame");
    if (magic !== MAGIC) throw malformed("zstd", "has bytes that are no frame");
    const descriptor = header.getUint8(4);
    if ((descriptor & 0b11) !== 0) throw malformed("zstd", "a frame asks for a dictionary");
    if ((descriptor & 0b11000) !== 0) throw malformed("zstd", "a frame sets reserved bits");
    const single = (descriptor & 0b100000) !== 0;
    const sizeField = descriptor >> 6;
    if (sizeField === 0 && !single) throw malformed("zstd", "a frame does not say its content size");
    const at = single ? 5 : 6;
    const length = at + (1 << sizeField);
    if (header.byteLength < length) return false;
    if (!single && windowSize(header.getUint8(5)) > MAX_WINDOW) {
      throw malformed("zstd", `a frame's window is larger than ${MAX_WINDOW} bytes`);
    }
    this.#contentSize = contentSize(header, at, sizeField);
    if (this.#contentSize === 0) throw malformed("zstd", "a frame is empty");
    if (this.#contentSize > MAX_FRAME_BYTES) {
      throw malformed("zstd", `a frame's content is larger than ${MAX_FRAME_BYTES} bytes`);
    }
    this.#trailer = (descriptor & 0b100) !== 0 ? 4 : 0;
    this.#read = length;
    return true;
  }
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function contentSize(header: DataView, at: number, sizeField: number): number {
  if (sizeField === 0) return header.getUint8(at);
  if (sizeField === 1) return header.getUint16(at, true) + 256;
  if (sizeField === 2) return header.getUint32(at, true);
  return header.getUint32(at, true) + header.getUint32(at + 4, true) * 2 ** 32;
}
