import { isAhead, isoTime } from "../../base/clock.ts";
import { pass, type Result, warn } from "./result.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** What an operator has to do again and again, from outside the home. */
export interface Upkeep {
  command: string;
  /** How old the last time may be. */
  days: number;
  /** What to say where it is missing. */
  missing: string;
}

/** Whose, and when it is looked at; times are Unix milliseconds. */
export interface Looking {
  /** Null for any instance: the home does not open, so that the command cannot be run on it either. */
  did: string | null;
  /** When the identity came to its home; null where that is not known. */
  since: number | null;
  now: number;
}

/**
 * The row of `spl doctor`. An instance that is younger than the last time may be old needs none yet.
 * @param last ISO 8601; null where there is none
 * @param detail what to say of it, with its age in words
 */
export function upkeepRow(
  { command, days, missing }: Upkeep,
  { did, since, now }: Looking,
  last: string | null,
  detail: (age: string) => string,
): Result {
  const fix = did === null ? null : command;
  if (last === null) {
    const due = since === null ? 0 : since + days * DAY_MS;
    return now <= due ? pass(`none yet, and due ${isoTime(due)}: ${command}`) : warn(missing, fix);
  }
  const ms = now - Date.parse(last);
  if (isAhead(Date.parse(last), now)) {
    return warn(`the last one is dated ${last}, and this clock says ${isoTime(now)}`, fix);
  }
  const told = detail(ageOf(ms));
  return ms > days * DAY_MS ? warn(told, fix) : pass(told);
}

function ageOf(ms: number): string {
  const days = Math.floor(ms / DAY_MS);
  return days < 1 ? "less than a day" : days === 1 ? "1 day" : `${days} days`;
}
