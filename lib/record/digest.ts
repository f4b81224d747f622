import { toHex } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { MAX_DID_BYTES } from "../base/limits.ts";
import { sha256 } from "../base/sha256.ts";
import type { Entry } from "./types.ts";

/** What the digest covers of an entry: its id, and who vouches for it. */
export type DigestedEntry = Pick<Entry, "id" | "sig" | "judged_by" | "signer">;

/** 32-bit words of a digest. */
const LIMBS = 8;
const PREFIX = new TextEncoder().encode("syncropel-digest-v1\0");
const ID = PREFIX.length;
const SIG = ID + 32;
const JUDGED_FLAG = SIG + 64;
const JUDGED_BY = JUDGED_FLAG + 1;
const SIGNER = JUDGED_BY + 32;

const encoder = new TextEncoder();
// One message is built at a time: reused, because a million fingerprints are taken in a row.
const message = new Uint8Array(SIGNER + MAX_DID_BYTES);
message.set(PREFIX);
const idPart = message.subarray(ID, SIG);
const judgedPart = message.subarray(JUDGED_BY, SIGNER);
const signerPart = message.subarray(SIGNER);

/** The 32-byte fingerprint of one envelope; its layout is in `DIGEST.md`. */
export function fingerprint({ id, sig, judged_by, signer }: DigestedEntry): Uint8Array {
  const { read, written } = encoder.encodeInto(signer, signerPart);
  if (id.length !== 64 || sig.length !== 64 || read !== signer.length) {
    throw new SplError(
      "invalid_record",
      `record ${id.slice(0, 64)} has an id, signature or signer of no valid length`,
    );
  }
  idPart.setFromHex(id);
  message.set(sig, SIG);
  message[JUDGED_FLAG] = judged_by === null ? 0 : 1;
  if (judged_by === null) judgedPart.fill(0);
  else judgedPart.setFromHex(judged_by);
  return sha256.hash(message.subarray(0, SIGNER + written));
}

/**
 * The digest of a set of envelopes: the sum of their fingerprints modulo 2^256. Order-independent, updated in O(1).
 * Definition and security limits: `DIGEST.md`.
 */
export class DigestSum {
  /** Big-endian: the first limb is the most significant. */
  readonly #limbs = new Uint32Array(LIMBS);

  /** Reads what `toBytes` wrote: 32 bytes. */
  static fromBytes(bytes: Uint8Array): DigestSum {
    if (bytes.length !== 4 * LIMBS) {
      throw new SplError("store_damaged", `a digest has 32 bytes, not ${bytes.length}`, {
        hint: "spl doctor --rebuild",
      });
    }
    const sum = new DigestSum();
    for (let i = 0; i < LIMBS; i++) sum.#limbs[i] = word(bytes, i);
    return sum;
  }

  /** @throws SplError invalid_record when id, signature or signer have a length that none has */
  add(entry: DigestedEntry): void {
    const print = fingerprint(entry);
    let carry = 0;
    for (let i = LIMBS - 1; i >= 0; i--) carry = this.#put(i, this.#limbs[i]! + word(print, i) + carry);
  }

  /** Takes back what `add` added; the set must hold the entry, which a digest cannot tell. */
  subtract(entry: DigestedEntry): void {
    const print = fingerprint(entry);
    let borrow = 0;
    for (let i = LIMBS - 1; i >= 0; i--) {
      borrow = 1 - this.#put(i, this.#limbs[i]! - word(print, i) - borrow + 2 ** 32);
    }
  }

  /** Unites with the digest of a disjoint set. */
  addSum(other: DigestSum): void {
    let carry = 0;
    for (let i = LIMBS - 1; i >= 0; i--) carry = this.#put(i, this.#limbs[i]! + other.#limbs[i]! + carry);
  }

  /** 64 lowercase hex; all zeros for the empty set. */
  hex(): string {
    return toHex(this.toBytes());
  }

  /** 32 bytes, big-endian. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(4 * LIMBS);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < LIMBS; i++) view.setUint32(4 * i, this.#limbs[i]!);
    return bytes;
  }

  /** Keeps the low 32 bits of a sum below 2^33 and returns the rest. */
  #put(i: number, value: number): 0 | 1 {
    this.#limbs[i] = value;
    return value >= 2 ** 32 ? 1 : 0;
  }
}

/** The big-endian 32-bit word number `i`. */
function word(bytes: Uint8Array, i: number): number {
  const at = 4 * i;
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
