import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import type { Attempts as AttemptsRow, AuditRow } from "../store/types.ts";
import type { Instance } from "./instance.ts";

/** From this many wrong secrets within a window on, a source has to wait for the window's end. */
export const MAX_FAILURES = 20;
const WINDOW_MS = 10 * 60 * 1000;
/** Sources that are remembered: what a crowd of addresses costs in memory. */
const MAX_SOURCES = 4096;

/**
 * Wrong secrets by source. Kept in memory and written behind, one write at a time, so that a flood of guesses costs no
 * more than it has to and a restart forgives nothing.
 */
export class Attempts {
  /** In the order in which their windows began. */
  readonly #sources = new Map<string, AttemptsRow>();
  readonly #changed = new Set<string>();
  #events: Pick<AuditRow, "at" | "event" | "detail">[] = [];
  #saving = false;

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

  /** Counts a wrong secret; those of a source that has to wait already count no more. */
  fail(source: string): void {
    if (this.#blockedUntil(source) !== null) return;
    const now = this.#now();
    const known = this.#current(source);
    if (known) known.failures++;
    else this.#begin(source, now);
    if (known?.failures === MAX_FAILURES) this.#audit(now, "sign-in.blocked", source);
    this.#changed.add(source);
    this.#save();
  }

  /** The first wrong secret of a window. */
  #begin(source: string, now: number): void {
    this.#sources.delete(source);
    // A crowd of sources is told of when it is refused, else it could fill the audit table.
    if (this.#sources.size < MAX_SOURCES) this.#audit(now, "sign-in.refused", source);
    else this.#forgetOne();
    this.#sources.set(source, { source, failures: 1, since: now });
  }

  /** The oldest window, of a source that is not waiting if there is any. */
  #forgetOne(): void {
    let [oldest] = this.#sources.keys();
    for (const source of this.#sources.keys()) {
      if (this.#blockedUntil(source) !== null) continue;
      oldest = source;
      break;
    }
    this.#sources.delete(oldest!);
    this.#changed.add(oldest!);
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

  #audit(at: number, event: string, source: string): void {
    this.#events.push({ at, event, detail: { remote: source } });
  }

  async #save(): Promise<void> {
    if (this.#saving) return;
    this.#saving = true;
    try {
      while (this.#changed.size > 0) await this.#write();
    } catch {
      // A store that cannot be written now, by a full disk or an import: the count stands in memory, and goes with the next.
    } finally {
      this.#saving = false;
    }
  }

  #write(): Promise<void> {
    const changed = [...this.#changed];
    const rows = changed.flatMap((source) => this.#sources.get(source) ?? []);
    const forgotten = changed.filter((source) => !this.#sources.has(source));
    const events = this.#events;
    this.#changed.clear();
    this.#events = [];
    return this.instance.store.transact(async (writer) => {
      await writer.putAttempts(rows, forgotten);
      for (const { at, event, detail } of events) await writer.addAudit(at, event, detail);
    });
  }
}
