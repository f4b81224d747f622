import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import type { Attempts as AttemptsRow, AuditRow } from "../store/types.ts";
import type { Instance } from "./instance.ts";

/** From this many wrong secrets within a window on, a source has to wait for the window's end. */
const MAX_FAILURES = 20;
const WINDOW_MS = 10 * 60 * 1000;
/** Sources that are remembered: what a crowd of addresses costs in memory. */
const MAX_SOURCES = 4096;
/** Between two writes: each makes the store wait for the disk, and a flood would ask for one at every guess. */
const PAUSE_MS = 100;

/** The account of a token that is good no longer, and why. */
export type Holder = Record<"account" | "state", string>;

/**
 * Wrong secrets by source. Kept in memory and written behind, one write at a time, so that a flood of guesses costs no
 * more than it has to and a restart forgives nothing.
 */
export class Attempts {
  /** In the order in which their windows began. */
  readonly #sources = new Map<string, AttemptsRow>();
  readonly #changed = new Set<string>();
  #events: Pick<AuditRow, "at" | "event" | "detail">[] = [];
  #saving: Promise<void> | null = null;
  /** The last turn of each source that has any. */
  readonly #turns = new Map<string, Promise<unknown>>();

  private constructor(readonly instance: Instance) {}

  /** With what was known before the instance was last stopped. */
  static async load(instance: Instance): Promise<Attempts> {
    const attempts = new Attempts(instance);
    const rows = await instance.store.read((reader) => reader.attempts());
    for (const row of rows.sort((a, b) => a.since - b.since)) attempts.#sources.set(row.source, row);
    return attempts;
  }

  /** @throws SplError rate_limited with `retry_after` in seconds */
  check(source: string): void {
    const until = this.#blockedUntil(source);
    if (until === null) return;
    throw new SplError("rate_limited", "too many wrong tokens or codes came from this address", {
      hint: `try again after ${isoTime(until)}`,
      detail: { retry_after: Math.ceil((until - this.#now()) / 1000) },
    });
  }

  /**
   * Counts a wrong secret; those of a source that has to wait already count no more. The first of a window goes to the
   * audit table.
   * @param holder whose secret it was, when it was good once: that is no guess and only begins a window
   */
  fail(source: string, holder: Holder | null = null): void {
    if (this.#blockedUntil(source) !== null) return;
    const open = this.#current(source);
    if (open && holder !== null) return;
    const known = open ?? this.#begin(source, holder);
    if (holder === null) known.failures++;
    if (known.failures === MAX_FAILURES) this.#audit("sign-in.blocked", { remote: source });
    this.#changed.add(source);
    this.#saving ??= this.#save();
  }

  /** Resolves when all that is known is on disk, or could not be written. */
  get saved(): Promise<void> {
    return this.#saving ?? Promise.resolve();
  }

  /** Runs attempts of one source one after the other. */
  async inTurn<T>(source: string, run: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(source) ?? Promise.resolve()).then(run);
    const ended = turn.catch(() => undefined);
    this.#turns.set(source, ended);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(source) === ended) this.#turns.delete(source);
    }
  }

  #begin(source: string, holder: Holder | null): AttemptsRow {
    this.#forget(source);
    for (const ended of this.#sources.keys()) {
      if (this.#current(ended)) break;
      this.#forget(ended);
    }
    // One more of a crowd of sources is not told of, else it could fill the audit table.
    if (this.#sources.size < MAX_SOURCES) this.#audit("sign-in.refused", { remote: source, ...holder });
    else this.#forget(this.#leastMissed());
    const row = { source, failures: 0, since: this.#now() };
    this.#sources.set(source, row);
    return row;
  }

  #forget(source: string): void {
    if (this.#sources.delete(source)) this.#changed.add(source);
  }

  /** The oldest of those that need not wait, else the oldest. */
  #leastMissed(): string {
    const sources = this.#sources;
    const [oldest] = sources.keys();
    return sources.keys().find((source) => this.#blockedUntil(source) === null) ?? oldest!;
  }

  #blockedUntil(source: string): number | null {
    const known = this.#current(source);
    return known !== undefined && known.failures >= MAX_FAILURES ? known.since + WINDOW_MS : null;
  }

  /** What is known of a window that has not ended. */
  #current(source: string): AttemptsRow | undefined {
    const known = this.#sources.get(source);
    const age = known === undefined ? WINDOW_MS : this.#now() - known.since;
    // A clock that was set back must not keep anyone out for longer.
    return age >= 0 && age < WINDOW_MS ? known : undefined;
  }

  #now(): number {
    return this.instance.ports.clock();
  }

  #audit(event: string, detail: AuditRow["detail"]): void {
    this.#events.push({ at: this.#now(), event, detail });
  }

  async #save(): Promise<void> {
    try {
      for (; this.#changed.size > 0; await Bun.sleep(PAUSE_MS)) await this.#write();
    } catch {
      // The store cannot be written now, as on a full disk: the counts stand in memory and go with the next failure.
    } finally {
      this.#saving = null;
    }
  }

  async #write(): Promise<void> {
    const changed = [...this.#changed];
    const rows = changed.flatMap((source) => this.#sources.get(source) ?? []);
    const forgotten = changed.filter((source) => !this.#sources.has(source));
    const events = this.#events;
    this.#changed.clear();
    this.#events = [];
    try {
      await this.instance.store.transact(async (writer) => {
        await writer.putAttempts(rows, forgotten);
        for (const { at, event, detail } of events) await writer.addAudit(at, event, detail);
      });
    } catch (error) {
      for (const source of changed) this.#changed.add(source);
      throw error;
    }
  }
}
