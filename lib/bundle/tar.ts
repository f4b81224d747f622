import { SplError } from "../base/errors.ts";
import { FRAME_BYTES } from "../base/limits.ts";
import { malformed } from "./malformed.ts";
import { PRIVATE_KEY } from "./members.ts";

/**
 * The one tar that a bundle may be: POSIX.1-1988 `ustar` headers with fixed owner, mode and time, regular
 * files only, two zero blocks at the end and nothing behind them. GNU tar writes the same bytes with
 * `--format=ustar --numeric-owner --owner=0 --group=0 --mtime=@0 --blocking-factor=1`.
 */

const BLOCK = 512;
const NAME_BYTES = 100;
const PREFIX = 345;
const PREFIX_BYTES = 155;
const SIZE = 124;
const SIZE_DIGITS = 11;
const CHECKSUM = 148;
const TYPE = 156;
const ZERO = 0x30;

const ZERO_BLOCK = Buffer.alloc(BLOCK);
const PUBLIC_TEMPLATE = template("0000644");
const PRIVATE_TEMPLATE = template("0000600");

/** A header without path, size and checksum; the checksum field holds spaces, as its sum is defined. */
function template(mode: string): { bytes: Uint8Array; sum: number } {
  const header = Buffer.alloc(BLOCK);
  header.write(mode, 100, "latin1");
  header.write("0000000", 108, "latin1");
  header.write("0000000", 116, "latin1");
  header.write("00000000000", SIZE, "latin1");
  header.write("00000000000", 136, "latin1");
  header.write("        ", CHECKSUM, "latin1");
  header.write("0", TYPE, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  header.write("0000000", 329, "latin1");
  header.write("0000000", 337, "latin1");
  return { bytes: header, sum: header.reduce((sum, byte) => sum + byte, 0) };
}

/** Writes the 512-byte header of an ASCII `path` at `at` of `out`. */
function putHeader(out: Uint8Array, at: number, path: string, size: number): void {
  const { bytes, sum } = path === PRIVATE_KEY ? PRIVATE_TEMPLATE : PUBLIC_TEMPLATE;
  out.set(bytes, at);
  const cut = path.length > NAME_BYTES ? path.lastIndexOf("/") : -1;
  if (cut > PREFIX_BYTES || path.length - cut - 1 > NAME_BYTES) {
    throw new SplError("internal", `the path ${path} does not fit a ustar header`);
  }
  let checksum = sum;
  for (let i = 0; i < cut; i++) checksum += out[at + PREFIX + i] = path.charCodeAt(i);
  for (let i = cut + 1; i < path.length; i++) checksum += out[at + i - cut - 1] = path.charCodeAt(i);
  for (let i = at + SIZE + SIZE_DIGITS - 1, rest = size; rest > 0; i--, rest = Math.floor(rest / 8)) {
    checksum += rest % 8;
    out[i] = ZERO + (rest % 8);
  }
  for (let i = at + CHECKSUM + 5; i >= at + CHECKSUM; i--, checksum >>= 3) out[i] = ZERO + (checksum & 7);
  out[at + CHECKSUM + 6] = 0;
}

/** The 512-byte header of a regular file. `path` is ASCII and, beyond 100 bytes, splits at its last slash. */
export function encodeHeader(path: string, size: number): Uint8Array {
  const header = new Uint8Array(BLOCK);
  putHeader(header, 0, path, size);
  return header;
}

/** Lays members out as tar in blocks of `FRAME_BYTES`, whatever the sizes of the members. */
export class TarWriter {
  #block = new Uint8Array(FRAME_BYTES);
  #at = 0;
  #full: Uint8Array[] = [];
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];

  add(path: string, data: Uint8Array): void {
    this.#room();
    putHeader(this.#block, this.#at, path, data.length);
    this.#at += BLOCK;
    for (let from = 0; from < data.length; ) {
      this.#room();
      const take = Math.min(data.length - from, FRAME_BYTES - this.#at);
      this.#block.set(take === data.length ? data : data.subarray(from, from + take), this.#at);
      this.#at += take;
      from += take;
    }
    this.#zeros(-this.#at & (BLOCK - 1));
  }

  /** The blocks that are full, each handed out once. */
  take(): Uint8Array[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** Hands out everything so far, the last block as short as it is; the writer is spent afterwards. */
  cut(): Uint8Array[] {
    return [...this.take(), this.#block.subarray(0, this.#at)];
  }

  /** Writes the end marker and hands out what is left; the writer is spent afterwards. */
  finish(): Uint8Array[] {
    for (let i = 0; i < 2; i++) {
      this.#room();
      this.#zeros(BLOCK);
    }
    return this.cut();
  }

  /** Takes back a block whose bytes nobody needs any more: fresh memory is what a large bundle costs most. */
  recycle(block: Uint8Array): void {
    if (block.length === FRAME_BYTES) this.#spare.push(block as Uint8Array<ArrayBuffer>);
  }

  #room(): void {
    if (this.#at < FRAME_BYTES) return;
    this.#full.push(this.#block);
    this.#block = this.#spare.pop() ?? new Uint8Array(FRAME_BYTES);
    this.#at = 0;
  }

  /** A recycled block still holds what was in it. */
  #zeros(length: number): void {
    this.#block.fill(0, this.#at, this.#at + length);
    this.#at += length;
  }
}

export interface Member {
  path: string;
  data: Uint8Array;
}

/**
 * Splits a tar into its members, in batches. Every header must equal its own re-encoding, so links, devices,
 * PAX and GNU extensions, other owners, modes and times never get through; padding must be zero.
 * @param limitOf most bytes of a member, or null when there must not be such a member: asked before any
 *   content is buffered
 * @throws SplError bundle_malformed
 */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array>,
  limitOf: (path: string) => number | null,
): AsyncGenerator<Member[]> {
  const splitter = new TarSplitter(limitOf);
  for await (const chunk of chunks) {
    const members = splitter.push(chunk);
    if (members.length > 0) yield members;
  }
  splitter.end();
}

class TarSplitter {
  readonly #limitOf: (path: string) => number | null;
  readonly #scratch = Buffer.alloc(BLOCK);
  /** Header and content of a member that began in an earlier chunk; `#filled` bytes of it are here. */
  #carry = new Uint8Array(0);
  #filled = 0;
  #zeroBlocks = 0;

  constructor(limitOf: (path: string) => number | null) {
    this.#limitOf = limitOf;
  }

  push(chunk: Uint8Array): Member[] {
    const members: Member[] = [];
    let rest = chunk;
    while (this.#filled > 0 && rest.length > 0) {
      const take = Math.min(this.#carry.length - this.#filled, rest.length);
      this.#carry.set(rest.subarray(0, take), this.#filled);
      this.#filled += take;
      rest = rest.subarray(take);
      if (this.#filled === this.#carry.length) {
        this.#filled = 0;
        this.#split(this.#carry, members);
      }
    }
    if (rest.length > 0) this.#split(rest, members);
    return members;
  }

  end(): void {
    if (this.#filled > 0) throw malformed("tar", "ends in the middle of a member");
    if (this.#zeroBlocks !== 2) throw malformed("tar", "ends without its end marker of two zero blocks");
  }

  #split(bytes: Uint8Array, members: Member[]): void {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    while (at < view.length) {
      const length = this.#unit(view, at, members);
      if (at + length > view.length) {
        this.#carry = new Uint8Array(length);
        this.#carry.set(bytes.subarray(at));
        this.#filled = view.length - at;
        return;
      }
      at += length;
    }
  }

  /** Length of the member or zero block at `at`; takes it when `view` holds all of it. */
  #unit(view: Buffer, at: number, members: Member[]): number {
    if (this.#zeroBlocks === 2) throw malformed("tar", "has bytes behind its end marker");
    if (at + BLOCK > view.length) return BLOCK;
    if (view[at] === 0 && isZero(view, at, at + BLOCK)) {
      this.#zeroBlocks++;
      return BLOCK;
    }
    if (this.#zeroBlocks === 1) throw malformed("tar", "has a single zero block before its end");
    const path = pathOf(view, at);
    const size = this.#checkHeader(view, at, path);
    const start = at + BLOCK;
    const length = BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    if (at + length > view.length) return length;
    if (!isZero(view, start + size, at + length)) throw malformed(path, "its padding is not zero");
    members.push({ path, data: new Uint8Array(view.buffer, view.byteOffset + start, size) });
    return length;
  }

  /** The size in bytes that a header says, once it is the header that this format writes for it. */
  #checkHeader(view: Buffer, at: number, path: string): number {
    if (view[at + TYPE] !== ZERO) {
      const type = String.fromCharCode(view[at + TYPE]!);
      throw malformed(path, `is not a plain file (tar type ${JSON.stringify(type)})`);
    }
    const limit = this.#limitOf(path);
    if (limit === null) throw malformed(path, "no bundle has a member of this name");
    let size = 0;
    for (let i = at + SIZE; i < at + SIZE + SIZE_DIGITS; i++) size = size * 8 + (view[i]! - ZERO);
    if (!(size >= 0 && size <= limit)) throw malformed(path, `its size is not one of 0 to ${limit} bytes`);
    putHeader(this.#scratch, 0, path, size);
    if (view.compare(this.#scratch, 0, BLOCK, at, at + BLOCK) !== 0) {
      throw malformed(path, "its tar header is not the one that this format writes");
    }
    return size;
  }
}

function isZero(view: Buffer, from: number, to: number): boolean {
  return view.compare(ZERO_BLOCK, 0, to - from, from, to) === 0;
}

function pathOf(view: Buffer, at: number): string {
  const prefix = text(view, at + PREFIX, PREFIX_BYTES);
  const name = text(view, at, NAME_BYTES);
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** A field up to its first NUL, as Latin-1, so that each byte is one character. */
function text(view: Buffer, at: number, length: number): string {
  let end = at;
  while (end < at + length && view[end] !== 0) end++;
  return view.toString("latin1", at, end);
}
