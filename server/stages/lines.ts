import { concatBytes } from "../../lib/base/bytes.ts";
import { SplError } from "../../lib/base/errors.ts";

/** One line of an NDJSON body, without its line feed. */
export interface Line {
  /** From 1; empty lines count although they are left out. */
  number: number;
  bytes: Uint8Array;
}

const LF = 0x0a;
const BLANK = new Set([0x20, 0x09, 0x0d]);

/**
 * Splits chunks into lines, one batch per chunk that completes any. A last line without a line feed counts.
 * @throws SplError body_too_large for a line of more than `maxLine` bytes, before more of it is read
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  maxLine: number,
): AsyncGenerator<Line[]> {
  let number = 0;
  let parts: Uint8Array[] = [];
  let length = 0;
  const take = (part: Uint8Array): void => {
    length += part.length;
    if (length > maxLine) {
      throw new SplError("body_too_large", `line ${number + 1} is larger than ${maxLine} bytes`, {
        detail: { line: number + 1, limit: maxLine },
      });
    }
    parts.push(part);
  };
  const complete = (lines: Line[]): void => {
    const bytes = parts.length === 1 ? parts[0]! : concatBytes(...parts);
    parts = [];
    length = 0;
    number++;
    if (!bytes.every((byte) => BLANK.has(byte))) lines.push({ number, bytes });
  };
  for await (const chunk of chunks) {
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      take(chunk.subarray(start, end));
      complete(lines);
      start = end + 1;
    }
    if (start < chunk.length) take(chunk.subarray(start));
    if (lines.length > 0) yield lines;
  }
  const last: Line[] = [];
  if (length > 0) complete(last);
  if (last.length > 0) yield last;
}

export interface GroupBounds {
  lines: number;
  bytes: number;
  /** A group that is not full closes after this long without input, so that a live pipe is not held back. */
  quietMs: number;
}

/** Gathers lines into groups. */
export async function* groupLines(
  batches: AsyncIterable<Line[]>,
  { lines, bytes, quietMs }: GroupBounds,
): AsyncGenerator<Line[]> {
  const source = batches[Symbol.asyncIterator]();
  let group: Line[] = [];
  let size = 0;
  let next = source.next();
  try {
    for (;;) {
      const result = await (group.length === 0 ? next : withinQuiet(next, quietMs));
      if (result !== null) {
        if (result.done) break;
        next = source.next();
        // A failure of the input is met at the next turn; until then it is nobody's unhandled rejection.
        next.catch(() => undefined);
      }
      for (const line of result?.value ?? []) {
        group.push(line);
        size += line.bytes.length;
        if (group.length < lines && size < bytes) continue;
        yield group;
        [group, size] = [[], 0];
      }
      if (result === null) {
        yield group;
        [group, size] = [[], 0];
      }
    }
    if (group.length > 0) yield group;
  } finally {
    await source.return?.();
  }
}

/** The result, or null when it does not come in time. */
async function withinQuiet<T>(result: Promise<T>, ms: number): Promise<T | null> {
  const { promise, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), ms);
  try {
    return await Promise.race([result, promise]);
  } finally {
    clearTimeout(timer);
  }
}
