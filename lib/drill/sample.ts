import type { Entry } from "../record/types.ts";

/** Records to read back, of which each thread's first and last come before every n-th. */
const MOST = 200;

/** A choice of records that is the same for the same bundle: every n-th, and each n-th thread's first and last. */
export class Sample {
  readonly entries = new Map<string, Entry>();
  readonly #everyRecord: number;
  readonly #everyThread: number;
  #records = 0;
  #threads = 0;
  #last: Entry | null = null;

  constructor({ record_count, thread_count }: { record_count: number; thread_count: number }) {
    this.#everyRecord = Math.max(1, Math.ceil(record_count / MOST));
    this.#everyThread = Math.max(1, Math.ceil((2 * thread_count) / MOST));
  }

  /** Entries in the order of the bundle. */
  add(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.thread !== this.#last?.thread) {
        this.end();
        if (this.#threads++ % this.#everyThread === 0) this.#take(entry);
      }
      if (this.#records++ % this.#everyRecord === 0) this.#take(entry);
      this.#last = entry;
    }
  }

  /** Behind the last record of a thread. */
  end(): void {
    if (this.#last !== null && (this.#threads - 1) % this.#everyThread === 0) this.#take(this.#last);
  }

  /** With bytes of its own: the reader's buffer is not kept for one record's sake. */
  #take(entry: Entry): void {
    this.entries.set(entry.id, { ...entry, canonical: entry.canonical.slice(), sig: entry.sig.slice() });
  }
}
