import { compareBytes, concatBytes, fromHex } from "../base/bytes.ts";
import { Breath } from "../base/turn.ts";
import { type DigestedEntry, DigestSum, fingerprint } from "../record/digest.ts";
import type { Reader, Selection } from "../store/types.ts";
import { admits } from "./feed.ts";
import { type IdSet, initiate, reconcile, type Step } from "./negentropy.ts";

/** Reconciliation over the records of a store, one message at a time; nothing is kept in between. */

/** A message that is taken; one that the other side sends has to fit. */
export const MAX_MESSAGE_BYTES = 1024 * 1024;
/** About how long a message is made: what does not fit comes in a later round. */
const ANSWER_BYTES = 48 * 1024;

/** The records of some threads, in one snapshot. */
class StoredIds implements IdSet {
  readonly #breath = new Breath();

  constructor(
    readonly reader: Reader,
    readonly selection: Selection,
  ) {}

  async count(from: Uint8Array, to: Uint8Array | null): Promise<number> {
    await this.#breath.take();
    return this.reader.countSelected(this.selection, from, to);
  }

  async *ids(from: Uint8Array, to: Uint8Array | null): AsyncGenerator<Uint8Array[]> {
    for await (const batch of this.reader.selectedIds(this.selection, from, to)) {
      await this.#breath.take();
      yield batch;
    }
  }
}

/** Bytes of an envelope's name that are its record's id; the others are of its fingerprint. */
const ID_PART = 16;
const FINGERPRINT_PART = 16;

/**
 * The same records named by their envelopes: the first half of the id, then the first half of the fingerprint that the
 * digest adds up. They lie in the order of the ids, and two envelopes of one record have different names.
 */
class StoredEnvelopes implements IdSet {
  readonly #breath = new Breath();
  readonly #records: StoredIds;

  constructor(
    readonly reader: Reader,
    readonly selection: Selection,
  ) {
    this.#records = new StoredIds(reader, selection);
  }

  async count(from: Uint8Array, to: Uint8Array | null): Promise<number> {
    if (isWhole(from) && (to === null || isWhole(to))) return this.#records.count(from, to);
    let n = 0;
    for await (const names of this.ids(from, to)) n += names.length;
    return n;
  }

  async *ids(from: Uint8Array, to: Uint8Array | null): AsyncGenerator<Uint8Array[]> {
    const upTo = to === null || isWhole(to) ? to : concatBytes(to.subarray(0, ID_PART), BEHIND_ALL);
    const first = concatBytes(from.subarray(0, ID_PART), new Uint8Array(FINGERPRINT_PART));
    for await (const batch of this.reader.selectedEnvelopes(this.selection, first, upTo)) {
      await this.#breath.take();
      const names = batch.map(envelopeName);
      yield names.filter(
        (name) => compareBytes(name, from) >= 0 && (to === null || compareBytes(name, to) < 0),
      );
    }
  }
}

const BEHIND_ALL = new Uint8Array(FINGERPRINT_PART + 1).fill(0xff);

/** Whether a bound lies between two records, not between envelopes of one. */
function isWhole(bound: Uint8Array): boolean {
  return bound.subarray(ID_PART).every((byte) => byte === 0);
}

function envelopeName(envelope: DigestedEntry): Uint8Array {
  const id = fromHex(envelope.id, 32)!;
  return concatBytes(id.subarray(0, ID_PART), fingerprint(envelope).subarray(0, FINGERPRINT_PART));
}

/** What is reconciled: records, or, where both hold the same ones, their envelopes. */
export const SUBJECTS = ["records", "envelopes"] as const;
export type Subject = (typeof SUBJECTS)[number];

function setOf(reader: Reader, selection: Selection, of: Subject): IdSet {
  return of === "records" ? new StoredIds(reader, selection) : new StoredEnvelopes(reader, selection);
}

/** The first message of the side that wants to know. */
export function openReconciliation(
  reader: Reader,
  selection: Selection,
  of: Subject = "records",
): Promise<Uint8Array> {
  return initiate(setOf(reader, selection, of));
}

/**
 * What to say to a message of the other side, and what it tells about the difference.
 * @throws SplError invalid_request for what is no message
 */
export function stepReconciliation(
  reader: Reader,
  selection: Selection,
  message: Uint8Array,
  role: "initiator" | "responder",
  of: Subject = "records",
): Promise<Step> {
  return reconcile(setOf(reader, selection, of), message, role, ANSWER_BYTES);
}

/** Ids of the records that, as a step in reconciling envelopes tells, both sides hold in different ones. */
export async function rivalIds(
  reader: Reader,
  selection: Selection,
  { have, need }: Step,
): Promise<string[]> {
  const record = (name: Uint8Array) => name.subarray(0, ID_PART);
  const theirs = new Set(need.map((name) => record(name).toHex()));
  const ids: string[] = [];
  for (const name of have) {
    if (!theirs.has(record(name).toHex())) continue;
    const first = concatBytes(record(name), new Uint8Array(FINGERPRINT_PART));
    const range = reader.selectedIds(selection, first, concatBytes(record(name), BEHIND_ALL));
    for await (const batch of range) ids.push(...batch.map((id) => id.toHex()));
  }
  return ids;
}

/** The digest of all records of the selected threads. */
export async function digestOf(reader: Reader, selection: Selection): Promise<DigestSum> {
  const breath = new Breath();
  const sum = new DigestSum();
  for await (const rows of reader.threads()) {
    await breath.take();
    for (const { thread, namespaces, digest } of rows)
      if (admits(selection, thread, namespaces)) sum.addSum(DigestSum.fromBytes(fromHex(digest, 32)!));
  }
  return sum;
}
