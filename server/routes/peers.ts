import { z } from "zod";
import { EVENTS_TYPE, JSON_TYPE, NDJSON_TYPE } from "../../lib/api/media.ts";
import { utf8 } from "../../lib/base/bytes.ts";
import { type Link, linkOf } from "../../lib/federation/apply.ts";
import { type CursorOf, MAX_CURSOR, readCursor, writeCursor } from "../../lib/federation/cursor.ts";
import { ASKED_IDS, type Page, pageOfIds, pageSince } from "../../lib/federation/feed.ts";
import { digestOf, MAX_MESSAGE_BYTES, SUBJECTS, stepReconciliation } from "../../lib/federation/reconcile.ts";
import { selectionHash } from "../../lib/federation/shared.ts";
import { CURSOR, DIGEST } from "../../lib/federation/sync.ts";
import type { Pair } from "../../lib/folds/pairs.ts";
import { parseJson } from "../../lib/record/json.ts";
import { isRecordId, isThread } from "../../lib/record/shape.ts";
import type { Reader, Selection } from "../../lib/store/types.ts";
import { streamed } from "../answer.ts";
import { Heartbeat } from "../changes.ts";
import type { PeerStream } from "../peer_streams.ts";
import { type Call, type Route, route } from "../route.ts";
import { parseWith } from "../stages/body.ts";
import { type PairedCaller, signedBy } from "../stages/signed.ts";

const MESSAGE_TYPE = "application/octet-stream";

/** From one address in a minute. */
const MOST_CALLS = 6000;

const thread = z.string().refine(isThread, "is no thread").optional().describe("only this one");
const after = z.string().max(MAX_CURSOR).optional().describe("the cursor that the page before ended with");
const Ids = z.strictObject({
  ids: z.array(z.string().refine(isRecordId, "is no record id")).min(1).max(ASKED_IDS),
});

/** What paired instances ask each other for; `lib/federation/PROTOCOL.md` describes it. */
export const peerRoutes: Route[] = [
  route({
    method: "GET",
    path: "/federation/v1/records",
    summary: "For a paired instance: a page of what this one took in behind a cursor",
    scope: null,
    query: z.strictObject({ after, thread }),
    answers: { 200: { [NDJSON_TYPE]: null } },
    async handle(call) {
      const { pair } = await paired(call);
      const page = await pageFor(call, pair, call.query);
      return new Response(page.text, { headers: { "content-type": NDJSON_TYPE } });
    },
  }),
  route({
    method: "POST",
    path: "/federation/v1/records",
    summary: "For a paired instance: these records, as far as they are here and shared",
    scope: null,
    bodies: { [JSON_TYPE]: { limit: 128 * 1024, shape: Ids } },
    answers: { 200: { [NDJSON_TYPE]: null } },
    async handle(call) {
      const { pair, body } = await paired(call);
      const { ids } = parseWith(Ids, parseJson(body ?? new Uint8Array()));
      const text = await served(call, pair, undefined, (reader, { self, shared }) =>
        pageOfIds(reader, self, shared, ids),
      );
      return new Response(text, { headers: { "content-type": NDJSON_TYPE } });
    },
  }),
  route({
    method: "POST",
    path: "/federation/v1/reconcile",
    summary: "For a paired instance: an answer to its reconciliation message (negentropy, version 1)",
    scope: null,
    query: z.strictObject({ thread, of: z.enum(SUBJECTS).default("records").describe("what is compared") }),
    bodies: { [MESSAGE_TYPE]: { limit: MAX_MESSAGE_BYTES, shape: null } },
    answers: { 200: { [MESSAGE_TYPE]: null } },
    async handle(call) {
      const { pair, body } = await paired(call);
      return served(call, pair, call.query.thread, async (reader, link) => {
        // Before the answer: what comes in meanwhile must not fall between it and the feed.
        const cursor = await writeCursor(reader, cursorOf(link, pair), await reader.lastSeq());
        const digest = (await digestOf(reader, link.shared)).hex();
        const { message } = await stepReconciliation(
          reader,
          link.shared,
          body ?? new Uint8Array(),
          "responder",
          call.query.of,
        );
        const headers = { "content-type": MESSAGE_TYPE, [CURSOR]: cursor, [DIGEST]: digest };
        return new Response(message, { headers });
      });
    },
  }),
  route({
    method: "GET",
    path: "/federation/v1/stream",
    summary: "For a paired instance: the same pages as events (SSE), as soon as there is anything new",
    scope: null,
    patient: true,
    query: z.strictObject({ after }),
    answers: { 200: { [EVENTS_TYPE]: null } },
    async handle(call) {
      const { pair } = await paired(call);
      const first = await pageFor(call, pair, call.query);
      const place = call.ctx.peerStreams.open(pair.peer_did);
      // Also where nobody ever reads the body: then its generator never begins.
      call.request.signal.addEventListener("abort", () => place[Symbol.dispose]());
      return streamed(call, events(call, pair, first, place), { "content-type": EVENTS_TYPE });
    },
  }),
];

/** A first sync of a million records is a thousand calls, and takes more than a minute. */
function paired(call: Call): Promise<PairedCaller> {
  call.ctx.pace.step(call.peer, "sync", MOST_CALLS);
  return signedBy(call);
}

/** Reads with what is shared with the pair at this moment. @throws SplError pair_unknown, superseded */
function served<T>(
  { ctx }: Pick<Call, "ctx">,
  pair: Pair,
  thread: string | undefined,
  read: (reader: Reader, link: Link) => Promise<T>,
): Promise<T> {
  return ctx.instance.store.read(async (reader) => {
    const link = await linkOf(ctx.instance, reader, pair.id);
    return read(reader, { ...link, shared: narrowed(link.shared, thread) });
  });
}

function narrowed(shared: Selection, thread: string | undefined): Selection {
  if (thread === undefined) return shared;
  return { ...shared, threads: shared.threads?.includes(thread) === false ? [] : [thread] };
}

function cursorOf({ storeId, key, shared, openings }: Link, { peer_did }: Pair): CursorOf {
  return { store: storeId, key, peer: peer_did, shared, openings };
}

interface ServedPage extends Page {
  /** Of what was shared when it was made. */
  filter: string;
}

function pageFor(
  call: Pick<Call, "ctx">,
  pair: Pair,
  { after, thread }: { after?: string | number | undefined; thread?: string | undefined },
): Promise<ServedPage> {
  return served(call, pair, thread, async (reader, link) => {
    const of = cursorOf(link, pair);
    const from = typeof after === "string" ? await readCursor(reader, after, of) : (after ?? 0);
    const filter = `${selectionHash(link.shared)} ${link.openings}`;
    return { ...(await pageSince(reader, link.self, of, from)), filter };
  });
}

/**
 * Ends when the peer goes or has another stream instead, the instance stops, or the pair or what is shared with it
 * changes.
 */
async function* events(
  call: Call,
  pair: Pair,
  first: ServedPage,
  place: PeerStream,
): AsyncGenerator<Uint8Array> {
  using _ = place;
  const { changes, stopping } = call.ctx;
  const signal = AbortSignal.any([stopping, call.request.signal, place.signal]);
  for (let page = first; !signal.aborted && page.filter === first.filter; ) {
    // A comment, which is also what tells the peer that the stream stands.
    yield utf8(page.records === 0 ? ":\n\n" : event(page.text));
    const beat = new Heartbeat();
    for (let due = false; !due && !signal.aborted; ) {
      const changed = changes.next;
      page = await pageFor(call, pair, { after: page.seq });
      if (page.records > 0 || page.more || page.filter !== first.filter) break;
      // Silent at what is none of the peer's: it is not to learn when that is written.
      due = await beat.orChange(changed, signal);
    }
  }
}

/** One event whose data are the lines of a page. */
function event(text: string): string {
  return `data: ${text.trimEnd().replaceAll("\n", "\ndata: ")}\n\n`;
}
