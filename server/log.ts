import { appendFileSync, renameSync, statSync } from "node:fs";
import { type Clock, isoTime } from "../lib/base/clock.ts";
import { exists } from "../lib/base/exists.ts";
import { eventText, type Facts, type LogFormat, logLine } from "../lib/base/log_line.ts";

/** Writes one event. It never throws: a full or unwritable log must not stop an instance. */
export type Log = (event: string, facts?: Facts) => void;

/** Hears the text of every event as well, without its time; for whoever watches an instance in the foreground. */
export type Echo = (text: string) => void;

export interface LogOptions {
  echo?: Echo | undefined;
  format?: LogFormat;
  /** A line that would make the file larger than this begins a new one. */
  maxBytes?: number;
  /** How many older files are kept beside it: `<name>.1` is the newest of them. */
  keep?: number;
}

const MAX_BYTES = 16 * 1024 * 1024;
const KEEP = 5;

/**
 * The log at `path`. Only one process may write events to it; others may append, or read and follow it
 * (`lib/instance/log_files.ts`). Lines that found no room are counted, and the next that does is preceded by that count.
 */
export function openLog(path: string, clock: Clock, options: LogOptions = {}): Log {
  const { echo, format = "text", maxBytes = MAX_BYTES, keep = KEEP } = options;
  let size = sizeOf(path);
  let lost = 0;
  const append = (text: string) => {
    const bytes = Buffer.from(text);
    if (size > 0 && size + bytes.length > maxBytes) {
      // Others may have appended, emptied or moved the file.
      size = sizeOf(path);
      if (size > 0 && size + bytes.length > maxBytes && rotate(path, keep)) size = 0;
    }
    appendFileSync(path, bytes, { mode: 0o600 });
    size += bytes.length;
  };
  return (event, facts = {}) => {
    echo?.(eventText(event, facts));
    const time = isoTime(clock());
    // A line that found no room may have left its beginning.
    const gap = lost === 0 ? "" : `\n${logLine(format, time, "log-gap", { lost })}\n`;
    try {
      append(`${gap}${logLine(format, time, event, facts)}\n`);
      lost = 0;
    } catch {
      // Nowhere is left to say it; the instance matters more than its log.
      lost++;
    }
  };
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

/** Moves each file on by one, up to the first free number, so that a move that fails half way costs no older file. */
function rotate(path: string, keep: number): boolean {
  try {
    let last = 1;
    while (last < keep && exists(`${path}.${last}`)) last++;
    for (let n = last; n > 1; n--) renameSync(`${path}.${n - 1}`, `${path}.${n}`);
    renameSync(path, `${path}.1`);
    return true;
  } catch {
    return false;
  }
}
