import { toHex } from "../base/bytes.ts";
import { MAX_RECORD_BYTES } from "../base/limits.ts";
import { Breath } from "../base/turn.ts";
import { envelopeLine } from "../record/envelope.ts";
import type { Entry } from "../record/types.ts";
import type { Reader, Selection } from "../store/types.ts";
import { type CursorOf, writeCursor } from "./cursor.ts";

/**
 * Pages of records as one instance hands them to another: NDJSON of envelopes in canonical form, before the first of
 * each foreign signer that signer's key, and at the end where the next page begins.
 */

/**
 * Ids are random, so that records touch as many places of the store as there are of them: what takes in four thousand at
 * once writes a third of what it would in four times a thousand.
 */
export const PAGE_RECORDS = 4000;
/** Ids that one request may ask for. */
export const ASKED_IDS = 1000;
/** A page ends with the record that takes it above this many bytes. */
const PAGE_BYTES = 4 * 1024 * 1024;
/** One line of a page: an envelope is a record and its signature. */
export const MAX_PAGE_LINE = MAX_RECORD_BYTES + 2048;
/** A whole page with its signers. */
export const MAX_PAGE_BYTES = PAGE_BYTES + MAX_PAGE_LINE + PAGE_RECORDS * 512;

export interface Page {
  /** Whole lines with their line feeds. */
  text: string;
  records: number;
  /** The number behind which the next page begins. */
  seq: number;
  more: boolean;
}

/** Gathers the lines of one page. */
class PageWriter {
  readonly #parts: string[] = [];
  readonly #signers: Set<string>;
  #bytes = 0;
  records = 0;

  /** @param self the serving instance, whose key its peers have */
  constructor(
    readonly reader: Reader,
    self: string,
  ) {
    this.#signers = new Set([self]);
  }

  get full(): boolean {
    return this.records >= PAGE_RECORDS || this.#bytes >= PAGE_BYTES;
  }

  async add(entry: Entry): Promise<void> {
    if (!this.#signers.has(entry.signer)) {
      this.#signers.add(entry.signer);
      const signer = await this.reader.signer(entry.signer);
      const line = { signer: { did: entry.signer, public_key: toHex(signer!.publicKey) } };
      this.#parts.push(`${JSON.stringify(line)}\n`);
    }
    const line = `${envelopeLine(entry)}\n`;
    this.#parts.push(line);
    this.#bytes += Buffer.byteLength(line);
    this.records++;
  }

  end(cursor: string | null, more: boolean): string {
    return `${this.#parts.join("")}${JSON.stringify({ cursor, more })}\n`;
  }
}

/**
 * What was taken in behind `after`, of the shared threads or of one of them.
 * @param self DID of the serving instance
 */
export async function pageSince(reader: Reader, self: string, of: CursorOf, after: number): Promise<Page> {
  const page = new PageWriter(reader, self);
  let seq = after;
  let more = false;
  const batches = reader.since(after, { selection: of.shared, limit: PAGE_RECORDS + 1 });
  const breath = new Breath();
  reading: for await (const batch of batches) {
    for (const entry of batch) {
      await breath.take();
      more = page.full;
      if (more) break reading;
      await page.add(entry);
      seq = entry.seq;
    }
  }
  // What is not shared is passed over once, not with each page.
  if (!more) seq = await reader.lastSeq();
  return { text: page.end(await writeCursor(reader, of, seq), more), records: page.records, seq, more };
}

/** Those of the records that are here and shared, in the order of `ids`; `more` when not all of them fitted. */
export async function pageOfIds(
  reader: Reader,
  self: string,
  shared: Selection,
  ids: string[],
): Promise<string> {
  const page = new PageWriter(reader, self);
  for (const id of ids) {
    if (page.full) return page.end(null, true);
    const entry = await reader.record(id);
    if (entry && (await isShared(reader, shared, entry.thread))) await page.add(entry);
  }
  return page.end(null, false);
}

async function isShared(reader: Reader, selection: Selection, thread: string): Promise<boolean> {
  const row = await reader.thread(thread);
  return row !== null && admits(selection, thread, row.namespaces);
}

/** Whether a thread of these namespaces belongs to the selection. */
export function admits(
  { namespaces, threads, without }: Selection,
  thread: string,
  own: readonly string[],
): boolean {
  return (
    (namespaces === null || (own.length > 0 && own.every((each) => namespaces.includes(each)))) &&
    (threads === null || threads.includes(thread)) &&
    !without.includes(thread)
  );
}
