import { SplError } from "./errors.ts";

const UNIT_MS: Record<string, number> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};
/** ISO 8601 has four digits for a year, and so has everything that reads what becomes of this. */
const LAST_TIME = Date.parse("9999-12-31T23:59:59.999Z");
// A date alone is midnight in UTC; a time of day without a zone would mean another moment on each machine.
const ISO = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/;

/** Milliseconds of a number and its unit, such as `90s`, `30m`, `24h`, `7d` or `2w`; null for anything else. */
export function parseDuration(text: string): number | null {
  const [, digits, unit] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  return digits === undefined ? null : Number(digits) * UNIT_MS[unit!]!;
}

/**
 * Unix milliseconds of a moment: so long from now, or an ISO 8601 date or time with its zone.
 * @param name what the error calls it, such as `--since`
 * @param direction whether a duration counts back from `now` or ahead
 * @throws SplError usage
 */
export function readTime(text: string, name: string, now: number, direction: "ago" | "ahead"): number {
  const duration = parseDuration(text);
  const time = duration === null ? isoMs(text) : direction === "ago" ? now - duration : now + duration;
  if (time >= 0 && time <= LAST_TIME) return time;
  if (duration !== null && direction === "ago") return 0;
  throw new SplError("usage", `${name} ${JSON.stringify(text)} is neither a duration nor a time`, {
    hint: `write it like ${name} 24h, ${name} 7d or ${name} 2026-01-31T12:00:00Z`,
  });
}

/** NaN for what is no date of the calendar: `Date.parse` alone would make 2 March of 30 February. */
function isoMs(text: string): number {
  const time = ISO.test(text) ? Date.parse(text) : Number.NaN;
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  return Number.isNaN(time) || day.toISOString().slice(0, 10) !== text.slice(0, 10) ? Number.NaN : time;
}
