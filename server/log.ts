import { appendFileSync, renameSync, statSync } from "node:fs";
import { type Clock, isoTime } from "../lib/base/clock.ts";

/** Writes one event. It never throws: a full or unwritable log must not stop an instance. */
export type Log = (event: string, facts?: Record<string, string | number | boolean | null>) => void;

/** From this size on, the log is moved to `<name>.1` (replacing the one before) when the instance starts. */
const ROTATE_BYTES = 16 * 1024 * 1024;

export function openLog(path: string, clock: Clock): Log {
  rotate(path);
  return (event, facts = {}) => {
    try {
      appendFileSync(path, `${logLine(clock(), event, facts)}\n`, { mode: 0o600 });
    } catch {
      // Nowhere is left to say it; the instance matters more than its log.
    }
  };
}

/** `<time> <event> name=value …` in printable ASCII, so that no value can forge a line or steer a terminal. */
export function logLine(
  at: number,
  event: string,
  facts: Record<string, string | number | boolean | null>,
): string {
  const pairs = Object.entries(facts).map(([name, value]) => `${name}=${logValue(value)}`);
  return [isoTime(at), event, ...pairs].join(" ");
}

function logValue(value: string | number | boolean | null): string {
  if (typeof value !== "string") return String(value);
  if (/^[\w./:@%+-]+$/.test(value)) return value;
  return JSON.stringify(value).replace(
    /[^ -~]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function rotate(path: string): void {
  try {
    if (statSync(path).size >= ROTATE_BYTES) renameSync(path, `${path}.1`);
  } catch {
    // No log yet, or a folder that cannot be written: appending will show which.
  }
}
