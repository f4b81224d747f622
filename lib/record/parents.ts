import type { Entry } from "./types.ts";

const OPEN = 0x5b;
const CLOSE = 0x5d;
/** A quoted id and the comma or bracket before it. */
const ITEM = 67;

/**
 * The parents of a record, read from the tail of its canonical bytes without parsing the body: in JCS order
 * the last two fields are `parents`, whose items have a fixed length, and `thread`, whose text is known.
 * @param entry its `canonical` must be a checked record of `entry.thread`
 */
export function parentsOf(entry: Pick<Entry, "canonical" | "thread">): string[] {
  const bytes = entry.canonical;
  let at = bytes.length - `,"thread":"${entry.thread}"}`.length - 1;
  if (bytes[at] !== CLOSE) throw new RangeError("not the canonical bytes of a record");
  const parents: string[] = [];
  if (bytes[at - 1] === OPEN) return parents;
  for (; bytes[at] !== OPEN; at -= ITEM) {
    parents.push(asciiSlice(bytes, at - ITEM + 2, at - 1));
  }
  return parents.reverse();
}

function asciiSlice(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[]);
}
