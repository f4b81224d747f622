import { SplError } from "../base/errors.ts";
import { MAX_CLOCK_JUMP } from "../base/limits.ts";
import { Breath } from "../base/turn.ts";
import { isReserved } from "../folds/reserved.ts";
import type { KeyPair } from "../identity/key.ts";
import type { Instance } from "../instance/instance.ts";
import { foldReserved } from "../instance/reserved.ts";
import { requireActive } from "../instance/steward.ts";
import { compareOrder } from "../record/order.ts";
import { parentsOf } from "../record/parents.ts";
import type { Entry } from "../record/types.ts";
import { namespaceOf } from "../store/namespaces.ts";
import type { InsertResult, Reader, Selection, Writer } from "../store/types.ts";
import type { CheckedPage } from "./check.ts";
import { admits } from "./feed.ts";
import { putPeerRow } from "./peer_row.ts";
import type { Refusals } from "./refusals.ts";
import { sharedWith } from "./shared.ts";

/** Records between two turns of the event loop: some 10 ms. */
const STEP = 100;

/** What is shared with an active pair at this moment, and who this instance is. */
export interface Link {
  self: string;
  key: KeyPair;
  storeId: string;
  shared: Selection;
  /** How often what is shared has changed by a thread's late opening. */
  openings: number;
  /** How many imports were undone here: a place in a peer's feed from before a rollback lies behind records that are gone. */
  undone: number;
}

/**
 * @throws SplError superseded; pair_unknown when the pair is not active (any more)
 */
export async function linkOf(instance: Instance, reader: Reader, pair: string): Promise<Link> {
  const signer = await instance.signer(reader);
  const { did, key, stewardId } = signer;
  await requireActive(reader, signer);
  const folds = await foldReserved(instance, reader);
  const found = folds.pairs.find(pair);
  if (found?.state !== "active") {
    throw new SplError("pair_unknown", `the pair ${pair.slice(0, 12)} is ${found?.state ?? "not here"}`, {
      hint: "spl federation list shows what there is",
    });
  }

  const shared = sharedWith(folds, found);
  const openings = await reader.lateOpenings(shared);
  const undone = await reader.undone();
  return { self: did, key, storeId: stewardId, shared, openings, undone };
}

/**
 * Stores a checked page and where the next one begins, in one transaction. What is not shared, or has an impossible
 * clock, is left out and counted in `page.refused`.
 * @param closed threads that turned out to be private; belongs to one pull
 * @param cursor told what holds now; null keeps the cursor that is there
 * @throws SplError as `linkOf`, and what `cursor` throws; then nothing of the page is stored
 */
export async function applyPage(
  instance: Instance,
  pair: { id: string; peer_did: string },
  page: CheckedPage,
  closed: Set<string>,
  cursor: ((link: Link) => string) | null,
): Promise<InsertResult> {
  return instance.store.transact(async (writer) => {
    const link = await linkOf(instance, writer, pair.id);
    const { shared } = link;
    const admitted: Entry[] = [];
    const breath = new Breath();
    for (const [thread, entries] of Map.groupBy(page.entries, (entry) => entry.thread)) {
      await breath.take();
      admitted.push(...(await admit(writer, shared, thread, entries, closed, page.refused)));
    }
    const signing = new Set(admitted.map((entry) => entry.signer));
    for (const signer of page.signers) if (signing.has(signer.did)) await writer.putSigner(signer);
    const sum: InsertResult = { inserted: 0, deduplicated: page.known, replaced: 0 };
    for (let at = 0; at < admitted.length; at += STEP) {
      const result = await writer.insert(admitted.slice(at, at + STEP));
      sum.inserted += result.inserted;
      sum.deduplicated += result.deduplicated;
      sum.replaced += result.replaced;
      await breath.take();
    }
    if (cursor) await putPeerRow(writer, pair.peer_did, () => ({ cursor: cursor(link) }));
    return sum;
  });
}

/** Those records of one thread that may come in, in canonical order. */
async function admit(
  writer: Writer,
  shared: Selection,
  thread: string,
  entries: Entry[],
  closed: Set<string>,
  refused: Refusals,
): Promise<Entry[]> {
  const row = await writer.thread(thread);
  // Its opening record has told its namespace.
  const isOpen = row !== null && row.namespaces.length > 0;
  const mayEnter = isOpen
    ? admits(shared, thread, row.namespaces)
    : row?.kept !== true && admitsUnopened(shared, thread);
  if (!mayEnter || closed.has(thread)) {
    for (const { id } of entries) refused.add(isReserved(thread) ? "reserved" : "not_shared", id);
    return [];
  }
  let clock = row?.clock ?? 0;
  const admitted: Entry[] = [];
  for (const entry of entries.sort(compareOrder)) {
    const hasParents = parentsOf(entry).length > 0;
    // Parents have lower clocks, and a clock far ahead would use up the thread's numbers.
    if ((hasParents && entry.clock === 0) || entry.clock - clock > MAX_CLOCK_JUMP) {
      refused.add("clock", entry.id);
      continue;
    }
    const opens = !hasParents;
    const isPrivate = opens && !admits(shared, thread, [namespaceOf(entry)]);
    if (isPrivate && !isOpen) closed.add(thread);
    if (isPrivate || closed.has(thread)) {
      refused.add("not_shared", entry.id);
      continue;
    }
    admitted.push(entry);
    clock = Math.max(clock, entry.clock);
  }
  return admitted;
}

/** Whether a thread may be in the selection whose namespace nothing tells yet. */
function admitsUnopened(shared: Selection, thread: string): boolean {
  return admits({ ...shared, namespaces: null }, thread, []);
}
