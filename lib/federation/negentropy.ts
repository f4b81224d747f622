import { compareBytes, concatBytes, equalBytes } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";

/**
 * Range-based set reconciliation: the negentropy protocol, version 1 (github.com/hoytech/negentropy,
 * docs/negentropy-protocol-v1.md). Two sides that hold nearly the same ids find what each lacks by a few short
 * messages. All timestamps are 0 here, so ids alone give the order. The responder keeps nothing between messages.
 */

/** A set of 32-byte ids in ascending order; `to` is exclusive, and null means behind the last. */
export interface IdSet {
  count(from: Uint8Array, to: Uint8Array | null): Promise<number>;
  /** In batches. */
  ids(from: Uint8Array, to: Uint8Array | null): AsyncIterable<Uint8Array[]>;
}

export interface Step {
  /** What to send; null when the initiator knows everything. */
  message: Uint8Array | null;
  /** Found in this step by the initiator: ids that only this side holds, and that only the other does. */
  have: Uint8Array[];
  need: Uint8Array[];
}

const VERSION = 0x61;
const SKIP = 0;
const FINGERPRINT = 1;
const ID_LIST = 2;
const ID_BYTES = 32;
const FINGERPRINT_BYTES = 16;
const BUCKETS = 16;
const FIRST: Uint8Array = new Uint8Array(ID_BYTES);

/** The initiator's first message. */
export async function initiate(set: IdSet): Promise<Uint8Array> {
  const out = MessageWriter.message();
  await split(set, FIRST, null, out);
  return out.bytes();
}

/**
 * Reads one message of the other side.
 * @param limit bytes after which the answer ends early; what is left out comes in a later round
 * @throws SplError invalid_request for what is no message of this version
 */
export async function reconcile(
  set: IdSet,
  message: Uint8Array,
  role: "initiator" | "responder",
  limit: number,
): Promise<Step> {
  const input = new MessageReader(message);
  const out = MessageWriter.message();
  const step: Step = { message: null, have: [], need: [] };
  let from: Uint8Array = FIRST;
  let skipped = false;
  while (!input.ended) {
    const bound = input.bound(from);
    let to = bound;
    const part = new MessageWriter();
    const mode = input.varint();
    let silent = mode === SKIP;
    if (mode === FINGERPRINT) {
      silent = equalBytes(input.take(FINGERPRINT_BYTES), await fingerprint(set, from, to));
      if (!silent) await split(set, from, to, part);
    } else if (mode === ID_LIST) {
      const theirs = input.ids();
      silent = role === "initiator";
      if (silent) await compare(set, from, to, theirs, step);
      else to = await listIds(set, from, to, part, Math.max(1, Math.floor((limit - out.length) / ID_BYTES)));
    } else if (mode !== SKIP) {
      throw malformed(`there is no mode ${mode}`);
    }
    if (silent) {
      skipped = true;
    } else {
      if (skipped) out.range(from, SKIP);
      skipped = false;
      out.append(part);
    }
    if (to === null) break;
    from = to;
    if (to !== bound || (out.length > limit && !input.ended)) {
      if (skipped) out.range(from, SKIP);
      out.range(null, FINGERPRINT);
      out.raw(await fingerprint(set, from, null));
      break;
    }
  }
  step.message = role === "initiator" && out.length === 1 ? null : out.bytes();
  return step;
}

/** What each side holds of one range that the other does not. */
async function compare(
  set: IdSet,
  from: Uint8Array,
  to: Uint8Array | null,
  theirs: Uint8Array[],
  step: Step,
) {
  const open = new Map(theirs.map((id) => [id.toHex(), id]));
  for await (const batch of set.ids(from, to)) {
    for (const id of batch) if (!open.delete(id.toHex())) step.have.push(id);
  }
  step.need.push(...open.values());
}

/** Lists at most so many ids, and returns where it had to end; `to` when nothing was left out. */
async function listIds(
  set: IdSet,
  from: Uint8Array,
  to: Uint8Array | null,
  out: MessageWriter,
  most: number,
): Promise<Uint8Array | null> {
  const listed: Uint8Array[] = [];
  let end = to;
  listing: for await (const batch of set.ids(from, to)) {
    for (const id of batch) {
      if (listed.length === most) {
        end = shortestBetween(listed.at(-1)!, id);
        break listing;
      }
      listed.push(id);
    }
  }
  out.range(end, ID_LIST);
  out.varint(listed.length);
  for (const id of listed) out.raw(id);
  return end;
}

/** Describes a range by its ids where they are few, else by the fingerprints of parts of about the same size. */
async function split(set: IdSet, from: Uint8Array, to: Uint8Array | null, out: MessageWriter): Promise<void> {
  const total = await set.count(from, to);
  if (total < 2 * BUCKETS) {
    await listIds(set, from, to, out, total);
    return;
  }
  const sizes = Array.from(
    { length: BUCKETS },
    (_, n) => Math.floor(total / BUCKETS) + (n < total % BUCKETS ? 1 : 0),
  );
  let sum = new IdSum();
  let bucket = 0;
  let last: Uint8Array = FIRST;
  for await (const batch of set.ids(from, to)) {
    for (const id of batch) {
      if (sum.count === sizes[bucket] && bucket < BUCKETS - 1) {
        out.range(shortestBetween(last, id), FINGERPRINT);
        out.raw(sum.fingerprint());
        sum = new IdSum();
        bucket++;
      }
      sum.add(id);
      last = id;
    }
  }
  out.range(to, FINGERPRINT);
  out.raw(sum.fingerprint());
}

async function fingerprint(set: IdSet, from: Uint8Array, to: Uint8Array | null): Promise<Uint8Array> {
  const sum = new IdSum();
  for await (const batch of set.ids(from, to)) for (const id of batch) sum.add(id);
  return sum.fingerprint();
}

/** The shortest prefix of `next`, padded with zeros, that lies behind `last`. */
function shortestBetween(last: Uint8Array, next: Uint8Array): Uint8Array {
  let shared = 0;
  while (last[shared] === next[shared]) shared++;
  const bound = new Uint8Array(ID_BYTES);
  bound.set(next.subarray(0, shared + 1));
  return bound;
}

/** Addition of ids as little-endian numbers modulo 2^256 (protocol, "Fingerprint Algorithm"). */
class IdSum {
  count = 0;
  readonly #limbs = new Uint32Array(8);

  add(id: Uint8Array): void {
    let carry = 0;
    for (let i = 0, at = 0; i < 8; i++, at += 4) {
      const word = (id[at]! | (id[at + 1]! << 8) | (id[at + 2]! << 16) | (id[at + 3]! << 24)) >>> 0;
      const value = this.#limbs[i]! + word + carry;
      this.#limbs[i] = value;
      carry = value >= 2 ** 32 ? 1 : 0;
    }
    this.count++;
  }

  /** 16 bytes. */
  fingerprint(): Uint8Array {
    const bytes = new Uint8Array(ID_BYTES);
    const view = new DataView(bytes.buffer);
    for (const [i, limb] of this.#limbs.entries()) view.setUint32(4 * i, limb, true);
    return sha256.hash(concatBytes(bytes, encodeVarint(this.count))).subarray(0, FINGERPRINT_BYTES);
  }
}

class MessageWriter {
  readonly #parts: Uint8Array[] = [];
  length = 0;

  /** A whole message, as opposed to a part of one. */
  static message(): MessageWriter {
    const out = new MessageWriter();
    out.raw(Uint8Array.of(VERSION));
    return out;
  }

  raw(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.length += bytes.length;
  }

  varint(value: number): void {
    this.raw(encodeVarint(value));
  }

  /** Begins a range that ends before `to`. */
  range(to: Uint8Array | null, mode: number): void {
    // A timestamp is written as its distance from the one before, plus 1: always 1. Infinity is 0.
    this.varint(to === null ? 0 : 1);
    let length = to === null ? 0 : ID_BYTES;
    while (length > 0 && to![length - 1] === 0) length--;
    this.varint(length);
    if (to !== null) this.raw(to.subarray(0, length));
    this.varint(mode);
  }

  append(part: MessageWriter): void {
    for (const bytes of part.#parts) this.raw(bytes);
  }

  bytes(): Uint8Array {
    return concatBytes(...this.#parts);
  }
}

class MessageReader {
  #at = 0;

  /** @throws SplError invalid_request for another version */
  constructor(readonly message: Uint8Array) {
    if (this.take(1)[0] !== VERSION) throw malformed("its version is not 1");
  }

  get ended(): boolean {
    return this.#at === this.message.length;
  }

  take(length: number): Uint8Array {
    const bytes = this.message.subarray(this.#at, this.#at + length);
    if (bytes.length !== length) throw malformed("it ends in the middle");
    this.#at += length;
    return bytes;
  }

  /** Base 128, most significant digit first. */
  varint(): number {
    let value = 0;
    for (;;) {
      const digit = this.take(1)[0]!;
      value = value * 128 + (digit & 127);
      if (!Number.isSafeInteger(value)) throw malformed("a number is too large");
      if (digit < 128) return value;
    }
  }

  /** Where a range ends that begins at `from`. */
  bound(from: Uint8Array): Uint8Array | null {
    const timestamp = this.varint();
    const prefix = this.take(this.varint());
    if (timestamp > 1 || prefix.length > ID_BYTES) throw malformed("a bound lies beyond all ids");
    if (timestamp === 0) return null;
    const bound = new Uint8Array(ID_BYTES);
    bound.set(prefix);
    if (compareBytes(bound, from) < 0) throw malformed("its ranges are not in order");
    return bound;
  }

  ids(): Uint8Array[] {
    const all = this.take(this.varint() * ID_BYTES);
    return Array.from({ length: all.length / ID_BYTES }, (_, n) =>
      all.subarray(n * ID_BYTES, (n + 1) * ID_BYTES),
    );
  }
}

function encodeVarint(value: number): Uint8Array {
  const digits = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128))
    digits.unshift((rest % 128) | 128);
  return Uint8Array.from(digits);
}

function malformed(why: string): SplError {
  return new SplError("invalid_request", `the reconciliation message is malformed: ${why}`);
}
