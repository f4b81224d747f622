import { fromBase64Url, toBase64Url, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { GROUP_BYTES, GROUP_RECORDS } from "../base/limits.ts";
import { compareAscii } from "../base/text.ts";
import { compareOrder } from "../record/order.ts";
import type { Entry, OrderKey } from "../record/types.ts";
import { malformed } from "./malformed.ts";

/** Records travel in groups, each behind the signatures of its records, so that a reader holds one group only. */

/**
 * Where a group ends: at the end of its thread, or where the next record would be its 4,097th or take it above
 * 4 MiB of canonical bytes. Writer and reader ask this one rule, so that a state has one form.
 */
export class GroupRule {
  #thread = "";
  #records = 0;
  #bytes = 0;

  /** Whether a record of `size` canonical bytes, the next in order, opens a new group. */
  opens(thread: string, size: number): boolean {
    this.#records++;
    this.#bytes += size;
    if (thread === this.#thread && this.#records <= GROUP_RECORDS && this.#bytes <= GROUP_BYTES) return false;
    this.#thread = thread;
    this.#records = 1;
    this.#bytes = size;
    return true;
  }
}

export interface Group<T> {
  thread: string;
  /** Number of the group within its thread, from 0. */
  k: number;
  items: T[];
}

/**
 * Cuts a snapshot into groups.
 * @throws SplError internal when it is not in canonical order, since no reader would take such a bundle
 */
export async function* groups<T extends OrderKey & { thread: string }>(
  batches: AsyncIterable<T[]>,
  sizeOf: (item: T) => number,
): AsyncGenerator<Group<T>> {
  const rule = new GroupRule();
  let group: Group<T> | null = null;
  let previous: T | null = null;
  for await (const batch of batches) {
    for (const item of batch) {
      if (previous !== null && compareThreads(previous, item) >= 0) {
        throw new SplError("internal", `the snapshot is not in canonical order at record ${item.id}`);
      }
      previous = item;
      if (!rule.opens(item.thread, sizeOf(item))) {
        group!.items.push(item);
        continue;
      }
      const k: number = group?.thread === item.thread ? group.k + 1 : 0;
      if (group !== null) yield group;
      group = { thread: item.thread, k, items: [item] };
    }
  }
  if (group !== null) yield group;
}

/** Order of a bundle: threads by bytes, then the canonical order of a thread. */
export function compareThreads(a: OrderKey & { thread: string }, b: OrderKey & { thread: string }): number {
  return a.thread === b.thread ? compareOrder(a, b) : compareAscii(a.thread, b.thread);
}

/** What a line of `signatures-<k>.jsonl` says of one record. */
export type Signature = Pick<Entry, "id" | "judged_by" | "sig" | "signer">;

/** Canonical JSON: none of the four values ever holds a character that JSON escapes. */
function signatureLine({ id, judged_by, sig, signer }: Signature): string {
  const judgedBy = judged_by === null ? "null" : `"${judged_by}"`;
  return `{"id":"${id}","judged_by":${judgedBy},"sig":"${toBase64Url(sig)}","signer":"${signer}"}\n`;
}

export function encodeSignatures(items: Signature[]): Uint8Array {
  let text = "";
  for (const item of items) text += signatureLine(item);
  return utf8(text);
}

const LINE =
  /^\{"id":"([0-9a-f]{64})","judged_by":(?:null|"([0-9a-f]{64})"),"sig":"([A-Za-z0-9_-]{86})","signer":"([!#-[\]-~]{1,256})"\}$/;

/**
 * The lines of a signatures member, at most `GROUP_RECORDS`.
 * @throws SplError bundle_malformed for any byte that `encodeSignatures` would not write
 */
export function parseSignatures(path: string, data: Uint8Array): Signature[] {
  const lines = Buffer.from(data.buffer, data.byteOffset, data.length).toString("latin1").split("\n");
  if (lines.pop() !== "") throw malformed(path, "its last line has no end");
  if (lines.length === 0 || lines.length > GROUP_RECORDS) {
    throw malformed(path, `holds ${lines.length} lines instead of 1 to ${GROUP_RECORDS}`);
  }
  return lines.map((line, i) => {
    const match = LINE.exec(line);
    const sig = match && fromBase64Url(match[3]!, 64);
    if (!match || !sig) throw malformed(path, `line ${i + 1} is not a signature line`);
    return { id: match[1]!, judged_by: match[2] ?? null, sig, signer: match[4]! };
  });
}
