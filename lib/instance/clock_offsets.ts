import { readFileSync } from "node:fs";
import { writeFileAtomic } from "../base/atomic_file.ts";
import { utf8 } from "../base/bytes.ts";
import { type Clock, isoTime } from "../base/clock.ts";
import type { HomePaths } from "../base/home.ts";

/** How far another machine's clock was from this one's when it last answered. */
export interface ClockOffset {
  /** Scheme, name and port of who answered. */
  origin: string;
  /** Milliseconds; above 0 where the other clock is ahead. Good to a second or two. */
  offset_ms: number;
  /** ISO 8601, by this machine's clock. */
  at: string;
}

/** Of how many others it is kept; those heard longest ago go first. */
const MOST = 32;
/** What is written down is this wrong at most, and this old while the other goes on answering. */
const CHANGE_MS = 5000;
const REFRESH_MS = 60 * 60 * 1000;

/** What a daemon wrote down; nothing where there is none or it cannot be read. */
export function readClockOffsets({ clocks }: Pick<HomePaths, "clocks">): ClockOffset[] {
  try {
    const value = JSON.parse(readFileSync(clocks, "utf8")) as ClockOffset[];
    return value.filter(
      ({ origin, offset_ms, at }) => origin && Number.isFinite(offset_ms) && Date.parse(at),
    );
  } catch {
    return [];
  }
}

/** What the running daemon learns of other clocks from the `Date` of answers (RFC 9110, section 6.6.1). */
export class ClockOffsets {
  readonly #paths: Pick<HomePaths, "clocks">;
  readonly #clock: Clock;
  readonly #known: Map<string, ClockOffset>;

  constructor(paths: Pick<HomePaths, "clocks">, clock: Clock) {
    this.#paths = paths;
    this.#clock = clock;
    this.#known = new Map(readClockOffsets(paths).map((each) => [each.origin, each]));
  }

  /** @param date the header, or null */
  heard(origin: string, date: string | null): void {
    const theirs = date === null ? Number.NaN : Date.parse(date);
    if (Number.isNaN(theirs)) return;
    const now = this.#clock();
    const before = this.#known.get(origin);
    // The header is in whole seconds, rounded down.
    const offset_ms = theirs + 500 - now;
    if (
      before &&
      Math.abs(before.offset_ms - offset_ms) < CHANGE_MS &&
      now - Date.parse(before.at) < REFRESH_MS
    )
      return;
    this.#known.delete(origin);
    this.#known.set(origin, { origin, offset_ms, at: isoTime(now) });
    for (const oldest of [...this.#known.keys()].slice(0, -MOST)) this.#known.delete(oldest);
    try {
      writeFileAtomic(this.#paths.clocks, utf8(JSON.stringify([...this.#known.values()])));
    } catch {
      // Without room on the disk doctor knows of other clocks what was known before.
    }
  }
}
