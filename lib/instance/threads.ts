import { SplError } from "../base/errors.ts";
import { nextTurn } from "../base/turn.ts";
import { foldInput } from "../folds/input.ts";
import { ThreadFold } from "../folds/threads.ts";
import type { Entry, OrderKey } from "../record/types.ts";
import type { Reader, SequencedEntry, ThreadRow } from "../store/types.ts";
import type { Instance } from "./instance.ts";
import type { ThreadDetail, ThreadSummary } from "./types.ts";

/** Characters of goals after which a page of threads ends: one goal may have a million. */
const GOALS = 4 * 1024 * 1024;

/** One page of a listing; `next` is what to pass as `after` for the next one, null at the end. */
export interface Page<T> {
  items: T[];
  next: string | null;
}

export function listThreads(
  instance: Instance,
  page: { after?: string; limit: number },
): Promise<Page<ThreadSummary>> {
  return instance.store.read(async (reader) => {
    const items: ThreadSummary[] = [];
    let goals = 0;
    for await (const rows of reader.threads(page)) {
      for (const row of rows) {
        const summary = await summarize(reader, row);
        items.push(summary);
        goals += summary.goal?.length ?? 0;
        if (items.length === page.limit || goals >= GOALS) return { items, next: summary.thread };
      }
    }
    return { items, next: null };
  });
}

/** @throws SplError not_found */
export function showThread(instance: Instance, name: string): Promise<ThreadDetail> {
  return instance.store.read(async (reader) => {
    const row = await requireThread(reader, name);
    return {
      ...(await summarize(reader, row)),
      heads: (await reader.heads(name, 64)).map((head) => head.id),
      forked: (await reader.forks({ thread: name, limit: 100 })).map(({ actor, clock, ids }) => ({
        actor,
        clock,
        ids,
      })),
    };
  });
}

/** Some records of a listing: fewer than were asked for where they are large. */
export interface RecordPage<T> {
  items: T[];
  more: boolean;
}

/**
 * A page of a thread in canonical order.
 * @throws SplError not_found
 */
export function threadRecords(
  instance: Instance,
  name: string,
  page: { after?: OrderKey; limit: number },
): Promise<RecordPage<Entry>> {
  return instance.store.read(async (reader) => {
    await requireThread(reader, name);
    return firstBatch(reader.threadEntries(name, page), page.limit);
  });
}

/**
 * A page of what was taken in behind sequence number `after`, in order of arrival. `next` is what to pass as `after`
 * from then on, whether or not there is more by now.
 */
export function recordsSince(
  instance: Instance,
  { after, ...page }: { after: number; thread?: string; limit: number },
): Promise<RecordPage<SequencedEntry> & { next: number }> {
  return instance.store.read(async (reader) => {
    const found = await firstBatch(reader.since(after, page), page.limit);
    return { ...found, next: found.more ? found.items.at(-1)!.seq : Math.max(after, await reader.lastSeq()) };
  });
}

async function firstBatch<T>(batches: AsyncIterable<T[]>, limit: number): Promise<RecordPage<T>> {
  let items: T[] | null = null;
  for await (const batch of batches) {
    if (items !== null) return { items, more: true };
    items = batch;
    if (items.length === limit) return { items, more: true };
  }
  return { items: items ?? [], more: false };
}

/** @throws SplError not_found */
export function getRecord(instance: Instance, id: string): Promise<Entry> {
  return instance.store.read(async (reader) => {
    const entry = await reader.record(id);
    if (entry) return entry;
    throw new SplError("not_found", `there is no record ${id}`, {
      hint: "spl thread list shows what there is",
    });
  });
}

async function summarize(reader: Reader, row: ThreadRow): Promise<ThreadSummary> {
  const fold = new ThreadFold();
  for await (const entries of reader.threadEntries(row.thread)) {
    for (const entry of entries) fold.add(foldInput(entry));
    await nextTurn();
  }
  const { namespaces, kept: _, ...facts } = row;
  return { ...facts, namespace: namespaces.join(", "), ...fold.result() };
}

async function requireThread(reader: Reader, name: string): Promise<ThreadRow> {
  const row = await reader.thread(name);
  if (row) return row;
  throw new SplError("not_found", `there is no thread ${name}`, {
    hint: "spl thread list shows what there is",
  });
}

export async function collect<T>(batches: AsyncIterable<T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}
