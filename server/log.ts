import { appendFileSync, renameSync, statSync } from "node:fs";
import { type Clock, isoTime } from "../lib/base/clock.ts";

export type Facts = Record<string, string | number | boolean | null>;

/** Writes one event. It never throws: a full or unwritable log must not stop an instance. */
export type Log = (event: string, facts?: Facts) => void;

/** Hears the text of every event as well, without its time; for whoever watches an instance in the foreground. */
export type Echo = (text: string) => void;

/** From this size on, the log is moved to `<name>.1` (replacing the one before) when the instance starts. */
const ROTATE_BYTES = 16 * 1024 * 1024;

export function openLog(path: string, clock: Clock, echo: Echo = () => undefined): Log {
  rotate(path);
  return (event, facts = {}) => {
    const text = eventText(event, facts);
    echo(text);
    try {
      appendFileSync(path, `${isoTime(clock())} ${text}\n`, { mode: 0o600 });
    } catch {
      // Nowhere is left to say it; the instance matters more than its log.
    }
  };
}

/** `<event> name=value …` in printable ASCII, so that no value can forge a line or steer a terminal. */
export function eventText(event: string, facts: Facts): string {
  return [event, ...Object.entries(facts).map(([name, value]) => `${name}=${logValue(value)}`)].join(" ");
}

/** A token, wherever a client has put it: what is logged is read by more people than may use it. */
const TOKEN = /spl_[a-z]+_[a-z0-9-]+_[A-Za-z0-9_-]{16,}/g;

function logValue(raw: string | number | boolean | null): string {
  if (typeof raw !== "string") return String(raw);
  const value = raw.replace(TOKEN, "spl_***");
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
