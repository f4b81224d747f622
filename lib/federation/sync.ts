import { concatBytes, fromHex, toHex, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { Breath } from "../base/turn.ts";
import type { Instance } from "../instance/instance.ts";
import { DigestSum } from "../record/digest.ts";
import type { Reader, Selection } from "../store/types.ts";
import { linkOf } from "./apply.ts";
import type { CheckedPage } from "./check.ts";
import { ASKED_IDS, MAX_PAGE_BYTES } from "./feed.ts";
import { cursorIn, Intake, type PullOptions, PullSummary } from "./intake.ts";
import type { PeerRequest } from "./link.ts";
import { linesOf, misbehaves, type ReceivedPage, readPage } from "./page.ts";
import { putPeerRow } from "./peer_row.ts";
import {
  digestOf,
  MAX_MESSAGE_BYTES,
  openReconciliation,
  rivalIds,
  type Subject,
  stepReconciliation,
} from "./reconcile.ts";
import type { SafeResponse } from "./safe_fetch.ts";

/** Pulling what a peer has and this instance has not. A pull that breaks off has kept every page before. */

/** The answer's header that says where the feed goes on once a reconciliation is done. */
export const CURSOR = "syncropel-cursor";
/** The one that says what all that is shared adds up to. */
export const DIGEST = "syncropel-digest";
/** Pages in a row that bring nothing new before this instance reconciles, or, once it has, gives up on the peer. */
const QUIET_PAGES = 20;
/** Missing records at which reading the feed from its beginning costs less than naming them one by one. */
const MANY = 10_000;
/** Rounds of one reconciliation that find nothing: the sixteenths of sixteenths of any set have ended long before. */
const QUIET_ROUNDS = 40;
/** Records that a peer may name and not deliver, as where they went meanwhile. */
const MOST_MISSING = 2 * ASKED_IDS;
/** The digest of no records. */
const NOTHING = new DigestSum().hex();
const PAGE_BOUNDS = { most: MAX_PAGE_BYTES, idleMs: 15_000, totalMs: 60_000 };
const MESSAGE_BOUNDS = { most: MAX_MESSAGE_BYTES, idleMs: 15_000, totalMs: 60_000 };

/** Sends a signed request to the peer; `callPeer` with everything but the request given. */
export type PeerCall = (request: PeerRequest) => Promise<Pick<SafeResponse, "headers" | "chunks">>;

/**
 * Pulls from the peer of an active pair until it has nothing more.
 * @param summary is brought up to date while it goes on, so that a pull that fails has one as well
 * @throws SplError superseded, pair_unknown, peer_misbehaves, not_found for one thread that the peer does not share, and
 *   what `call` throws
 */
export async function pull(
  instance: Instance,
  pair: { id: string; peer_did: string },
  call: PeerCall,
  options: PullOptions = {},
  summary = new PullSummary(),
): Promise<PullSummary> {
  await new Pull(instance, pair, call, options, summary).run();
  return summary;
}

class Pull {
  readonly #intake: Intake;
  /** Whether the peer has shown that it shares anything of what was asked for. */
  #served = false;

  constructor(
    readonly instance: Instance,
    readonly pair: { id: string; peer_did: string },
    readonly call: PeerCall,
    readonly options: PullOptions,
    readonly summary: PullSummary,
  ) {
    this.#intake = new Intake(instance, pair, options, summary);
  }

  async run(): Promise<void> {
    await this.#pull();
    const { owed, thread } = this.options;
    if (thread !== undefined && !this.#served) throw await this.#notShared(thread);
    if (owed) await this.#fetch(new Set(owed), { named: false });
  }

  async #pull(): Promise<void> {
    const { shared, cursor, empty } = await this.#begin();
    if (cursor === null && !empty) return this.#reconcileAndFollow();
    try {
      if (!(await this.#feed(cursor))) await this.#reconcileAndFollow();
    } catch (error) {
      if (!isLost(error) || cursor === null) throw error;
      if (await this.#holdsNothing(shared)) await this.#feed(null);
      else await this.#reconcileAndFollow();
    }
  }

  async #notShared(thread: string): Promise<SplError> {
    const { did } = await this.instance.store.read((reader) => this.instance.signer(reader));
    return new SplError("not_found", `${this.pair.peer_did} shares no thread ${thread}`, {
      hint: `there, spl consent grant --from NAMESPACE --to ${did} shares its namespace, and spl federation thread-allow widens a pair that is narrowed to some threads`,
    });
  }

  /** What is shared, where the feed goes on, and whether nothing of it is here yet. */
  async #begin(): Promise<{ shared: Selection; cursor: string | null; empty: boolean }> {
    const { store } = this.instance;
    const { shared, kept } = await store.read(async (reader) => {
      const link = await linkOf(this.instance, reader, this.pair.id);
      this.#intake.begin(link);
      return { shared: link.shared, kept: await reader.peer(this.pair.peer_did) };
    });
    const { thread, reconcile = false } = this.options;
    const follows = thread === undefined && !reconcile;
    const cursor = follows ? cursorIn(kept?.cursor ?? null, shared) : null;
    return { shared, cursor, empty: cursor === null && (await this.#holdsNothing(this.#narrowed(shared))) };
  }

  #holdsNothing(shared: Selection): Promise<boolean> {
    return this.instance.store.read(async (reader) => {
      for await (const _ of reader.since(0, { selection: shared, limit: 1 })) return false;
      return true;
    });
  }

  #narrowed(shared: Selection): Selection {
    const { thread } = this.options;
    if (thread === undefined) return shared;
    const allowed = shared.threads === null || shared.threads.includes(thread);
    return { ...shared, threads: allowed ? [thread] : [] };
  }

  /** False where it goes on and on with what is here already. */
  async #feed(from: string | null): Promise<boolean> {
    let quiet = 0;
    const cursors = new Set<string>();
    let coming = this.#next(from);
    for (;;) {
      const { page, checked } = await coming;
      const { cursor, more } = page;
      this.#served ||= page.envelopes.length > 0;
      if (cursor === null) throw misbehaves("sends a page of its feed without a cursor");
      if (more && page.envelopes.length === 0)
        throw misbehaves("sends an empty page and says that more comes");
      if (more && cursors.has(cursor)) throw misbehaves("repeats a cursor");
      cursors.add(cursor);
      if (more) {
        // The next page is made, sent and checked while this one is stored.
        coming = this.#next(cursor);
        coming.catch(() => undefined);
      }
      const before = this.summary.pulled;
      await this.#intake.store(checked, cursor);
      quiet = this.summary.pulled > before ? 0 : quiet + 1;
      if (!more) return true;
      if (quiet >= QUIET_PAGES) {
        await coming;
        return false;
      }
    }
  }

  /** Once more where what the peer shares has changed meanwhile, so that its cursor is not good any more. */
  async #reconcileAndFollow(): Promise<void> {
    try {
      await this.#reconcileThenFeed();
    } catch (error) {
      if (!isLost(error)) throw error;
      await this.#reconcileThenFeed();
    }
  }

  async #reconcileThenFeed(): Promise<void> {
    let { cursor, complete } = await this.#reconcile(MANY);
    if (!complete) {
      if (await this.#feed(null)) return;
      ({ cursor, complete } = await this.#reconcile(Number.POSITIVE_INFINITY));
    }
    if (cursor === null || this.options.thread !== undefined) return;
    if (!(await this.#feed(cursor))) throw misbehaves("sends page after page without anything new");
  }

  /**
   * Finds and stores what is missing.
   * @param many ids missing at which it ends early, incomplete
   * @returns where the feed goes on afterwards; null when the peer did not say
   */
  async #reconcile(many: number): Promise<{ cursor: string | null; complete: boolean }> {
    const { store } = this.instance;
    const link = await store.read((reader) => linkOf(this.instance, reader, this.pair.id));
    const shared = this.#narrowed(link.shared);
    let message: Uint8Array | null = await store.read((reader) => openReconciliation(reader, shared));
    let cursor: string | null = null;
    let digest: DigestSum | null = null;
    let quiet = 0;
    let missing = 0;
    const open = new Set<string>();
    // Of what only this side holds.
    const own = new DigestSum();
    while (message) {
      const answer = await this.#answer(message, "records");
      ({ digest } = answer);
      this.#served ||= digest?.hex() !== NOTHING;
      cursor ??= answer.cursor;
      const step = await store.read(async (reader) => {
        const step = await stepReconciliation(reader, shared, answer.message, "initiator");
        await addAll(own, reader, step.have);
        return step;
      });
      for (const id of step.need) open.add(toHex(id));
      missing += step.need.length;
      if (missing >= many) return { cursor: null, complete: false };
      quiet = step.need.length + step.have.length > 0 ? 0 : quiet + 1;
      if (quiet > QUIET_ROUNDS) throw misbehaves("reconciles without an end");
      if (open.size >= ASKED_IDS) await this.#fetch(open);
      message = step.message;
    }
    await this.#fetch(open);
    if (digest !== null) {
      digest.addSum(own);
      const here = await store.read((reader) => digestOf(reader, shared));
      if (digest.hex() !== here.hex()) await this.#reconcileEnvelopes(shared);
    }
    if (cursor !== null && this.options.thread === undefined) {
      const place = cursor;
      await store.transact(async (writer) => {
        const { undone } = await linkOf(this.instance, writer, this.pair.id);
        const kept = this.#intake.bind(place, { ...link, undone });
        await putPeerRow(writer, this.pair.peer_did, () => ({ cursor: kept }));
      });
    }
    return { cursor, complete: true };
  }

  /** Fetches the peer's envelopes of records that it holds in others than this side: the smaller ones are kept. */
  async #reconcileEnvelopes(shared: Selection): Promise<void> {
    const { store } = this.instance;
    let message: Uint8Array | null = await store.read((reader) =>
      openReconciliation(reader, shared, "envelopes"),
    );
    const asked = new Set<string>();
    let quiet = 0;
    while (message) {
      const answer = await this.#answer(message, "envelopes");
      const { next, rivals } = await store.read(async (reader) => {
        const step = await stepReconciliation(reader, shared, answer.message, "initiator", "envelopes");
        return { next: step.message, rivals: new Set(await rivalIds(reader, shared, step)) };
      });
      const open = rivals.difference(asked);
      quiet = open.size > 0 ? 0 : quiet + 1;
      if (quiet > QUIET_ROUNDS) throw misbehaves("reconciles without an end");
      for (const id of open) asked.add(id);
      await this.#fetch(open);
      message = next;
    }
  }

  /**
   * Fetches these records and stores them; `open` is empty afterwards.
   * @param named the peer has just said that it has them
   */
  async #fetch(open: Set<string>, { named } = { named: true }): Promise<void> {
    while (open.size > 0) {
      const ids = [...open].slice(0, ASKED_IDS);
      const page = await this.#receive({
        method: "POST",
        path: "/federation/v1/records",
        body: utf8(JSON.stringify({ ids })),
        contentType: "application/json",
      });
      const checked = await this.#intake.check(page, new Set(ids));
      await this.#intake.store(checked, null);
      let answered = 0;
      for (const id of checked.seen) if (open.delete(id)) answered++;
      if (page.more && answered === 0) throw misbehaves("sends an empty page and says that more comes");
      if (page.more) continue;
      const { refused } = this.summary;
      for (const id of ids) if (open.delete(id) && named) refused.add("missing", id);
      const missing = refused.counts.missing ?? 0;
      if (missing > MOST_MISSING) throw misbehaves(`names ${missing} records that it does not have`);
    }
  }

  async #next(cursor: string | null): Promise<{ page: ReceivedPage; checked: CheckedPage }> {
    const query = new URLSearchParams();
    if (cursor !== null) query.set("after", cursor);
    if (this.options.thread !== undefined) query.set("thread", this.options.thread);
    const page = await this.#receive({ method: "GET", path: `/federation/v1/records${suffix(query)}` });
    return { page, checked: await this.#intake.check(page) };
  }

  async #receive(request: Omit<PeerRequest, "accept">): Promise<ReceivedPage> {
    const answer = await this.#ask({ ...request, accept: "application/x-ndjson" });
    const page = await readPage(linesOf(answer.chunks(PAGE_BOUNDS)));
    this.summary.bytes += page.bytes;
    return page;
  }

  async #answer(
    message: Uint8Array,
    of: Subject,
  ): Promise<{ message: Uint8Array; cursor: string | null; digest: DigestSum | null }> {
    const { thread } = this.options;
    const query = new URLSearchParams(thread === undefined ? {} : { thread });
    if (of !== "records") query.set("of", of);
    const answer = await this.#ask({
      method: "POST",
      path: `/federation/v1/reconcile${suffix(query)}`,
      body: message,
      contentType: "application/octet-stream",
      accept: "application/octet-stream",
    });
    const bytes = concatBytes(...(await Array.fromAsync(answer.chunks(MESSAGE_BOUNDS))));
    this.summary.bytes += bytes.length;
    const { headers } = answer;
    return { message: bytes, cursor: headers.get(CURSOR), digest: digestIn(headers) };
  }

  async #ask(request: PeerRequest): Promise<Pick<SafeResponse, "headers" | "chunks">> {
    const { signal } = this.options;
    signal?.throwIfAborted();
    const answer = await this.call({ ...request, ...(signal && { signal }) });
    this.summary.rounds++;
    return answer;
  }
}

function isLost(error: unknown): boolean {
  return error instanceof SplError && error.code === "cursor_invalid";
}

async function addAll(sum: DigestSum, reader: Reader, ids: Uint8Array[]): Promise<void> {
  const breath = new Breath();
  for (const id of ids) {
    await breath.take();
    const entry = await reader.record(toHex(id));
    if (entry) sum.add(entry);
  }
}

/** Null when the peer does not say. */
function digestIn(headers: Headers): DigestSum | null {
  const text = headers.get(DIGEST);
  if (text === null) return null;
  const bytes = fromHex(text, 32);
  if (bytes === null) throw misbehaves("sends a digest that is none");
  return DigestSum.fromBytes(bytes);
}

function suffix(query: URLSearchParams): string {
  return query.size === 0 ? "" : `?${query}`;
}
