import { Breath } from "../base/turn.ts";
import type { Reader, Selection } from "../store/types.ts";
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

/** The first message of the side that wants to know. */
export function openReconciliation(reader: Reader, selection: Selection): Promise<Uint8Array> {
  return initiate(new StoredIds(reader, selection));
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
): Promise<Step> {
  return reconcile(new StoredIds(reader, selection), message, role, ANSWER_BYTES);
}
