import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { fileError, systemCode } from "../base/errors.ts";
import { type LogLine, parseLogLine } from "../base/log_line.ts";

/**
 * Reads the log of an instance: `path` and the older files beside it, `<path>.1` the newest of them, which `server/log.ts`
 * writes and turns over meanwhile. It holds a block of a file and a line at a time.
 */

/** A line is cut here: no event of ours comes near. */
const MAX_LINE = 64 * 1024;
const BLOCK = 64 * 1024;
/** How often a followed log is looked at. */
const LOOK_MS = 200;
/** Files that are known to have been read; more than are ever kept. */
const HELD = 8;

/** One file of the log, however it is called by now. */
class OpenFile {
  readonly ino: number;
  readonly #fd: number;
  readonly #decoder = new TextDecoder();
  #at = 0;
  #rest = "";

  constructor(path: string) {
    this.#fd = openSync(path, "r");
    this.ino = fstatSync(this.#fd).ino;
  }

  /** The whole lines behind what was read. A file that somebody has emptied is read from its beginning. */
  *lines(): Generator<string> {
    if (fstatSync(this.#fd).size < this.#at) {
      this.#at = 0;
      this.#rest = "";
    }
    const block = Buffer.alloc(BLOCK);
    for (;;) {
      const bytes = readSync(this.#fd, block, 0, BLOCK, this.#at);
      if (bytes === 0) return;
      this.#at += bytes;
      const parts = (this.#rest + this.#decoder.decode(block.subarray(0, bytes), { stream: true })).split(
        "\n",
      );
      this.#rest = parts.pop()!.slice(0, MAX_LINE);
      for (const part of parts) if (part !== "") yield part.slice(0, MAX_LINE);
    }
  }

  /** What a writer that was cut off left behind the last line. */
  *end(): Generator<string> {
    if (this.#rest !== "") yield this.#rest;
    this.#rest = "";
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/**
 * Lines that are there, oldest first.
 * @param since Unix milliseconds; what says no time goes with the line before it
 * @throws SplError file_unreadable
 */
export function* readLog(path: string, since = 0): Generator<LogLine> {
  const files = openNewer(path, []);
  try {
    yield* later(since, function* () {
      for (const file of files) {
        yield* file.lines();
        yield* file.end();
      }
    });
  } finally {
    for (const file of files) file.close();
  }
}

/**
 * Lines that are there, then those that come, until the signal. Survives that the log turns over, is emptied, is removed
 * or does not exist yet.
 * @throws SplError file_unreadable
 */
export async function* followLog(
  path: string,
  { last, since = 0, signal }: { last: number | null; since?: number; signal: AbortSignal },
): AsyncGenerator<LogLine> {
  const files = openNewer(path, []);
  try {
    const there = later(since, function* () {
      for (const [at, file] of files.entries()) {
        yield* file.lines();
        if (at < files.length - 1) yield* file.end();
      }
    });
    yield* last === null ? there : lastOf(there, last);
    while (!signal.aborted) {
      const current = files.at(-1);
      // Looked for before the current file is read to its end: once there is a newer one, that one grows no more.
      const newer = openNewer(path, files);
      if (current) {
        for (const line of current.lines()) yield parseLogLine(line);
        if (newer.length > 0) for (const line of current.end()) yield parseLogLine(line);
      }
      for (const file of newer) {
        files.push(file);
        for (const line of file.lines()) yield parseLogLine(line);
        if (file !== newer.at(-1)) for (const line of file.end()) yield parseLogLine(line);
      }
      for (const old of files.splice(0, files.length - HELD)) old.close();
      await pause(signal);
    }
  } finally {
    for (const file of files) file.close();
  }
}

/** The last `n`, holding no more than these. */
export function lastOf<T>(items: Iterable<T>, n: number): T[] {
  const kept: T[] = [];
  let next = 0;
  for (const item of items) {
    kept[next] = item;
    next = (next + 1) % Math.max(1, n);
  }
  return n === 0 ? [] : [...kept.slice(next), ...kept.slice(0, next)];
}

function* later(since: number, lines: () => Generator<string>): Generator<LogLine> {
  let passes = since === 0;
  for (const text of lines()) {
    const line = parseLogLine(text);
    if (line.time !== null) passes = Date.parse(line.time) >= since;
    if (passes) yield line;
  }
}

/**
 * The files of the log that are newer than these, oldest first. They are opened from the newest on: a log that turns
 * over meanwhile shows a file twice then, which its number tells, and hides none. A number stays a file's own as long as
 * it is held open.
 */
function openNewer(path: string, known: readonly OpenFile[]): OpenFile[] {
  const files: OpenFile[] = [];
  try {
    for (let n = 0; ; n++) {
      const file = tryOpen(n === 0 ? path : `${path}.${n}`);
      if (file === null) {
        if (n > 0) return files;
        continue;
      }
      const isKnown = known.some(({ ino }) => ino === file.ino);
      if (isKnown || files.some(({ ino }) => ino === file.ino)) file.close();
      else files.unshift(file);
      if (isKnown) return files;
    }
  } catch (error) {
    for (const file of files) file.close();
    throw fileError(error, "read", path);
  }
}

function tryOpen(path: string): OpenFile | null {
  try {
    return new OpenFile(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw error;
  }
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, LOOK_MS);
    signal.addEventListener("abort", done);
  });
}
