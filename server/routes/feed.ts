import { z } from "zod";
import { JSON_TYPE, NDJSON_TYPE } from "../../lib/api/media.ts";
import { Envelope, FeedEntry, pageOf } from "../../lib/api/schemas.ts";
import { SplError } from "../../lib/base/errors.ts";
import { getRecord, recordsSince } from "../../lib/instance/threads.ts";
import { envelopeLine } from "../../lib/record/envelope.ts";
import type { SequencedEntry } from "../../lib/store/types.ts";
import { listing, ndjson } from "../answer.ts";
import { changeOrHeartbeat } from "../changes.ts";
import { type Call, type Route, route } from "../route.ts";
import { flag, limitOf } from "../stages/query.ts";

const feedQuery = z.strictObject({
  after: z.coerce.number().int().min(0).default(0).describe("the seq behind which to begin"),
  thread: z.string().optional(),
  limit: limitOf(100),
  follow: flag.describe("as NDJSON: stay and send what comes"),
});
type FeedQuery = z.output<typeof feedQuery>;

export const feedRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/records",
    summary: "Records in the order in which this instance took them in",
    scope: "records:read",
    grain: "read",
    patient: true,
    query: feedQuery,
    answers: { 200: { [JSON_TYPE]: pageOf(FeedEntry), [NDJSON_TYPE]: FeedEntry } },
    handle(call) {
      const { query, grant, answerType } = call;
      grant.requireRead(query.thread);
      if (query.follow) {
        if (answerType === NDJSON_TYPE) return ndjson(call, follow(call));
        throw new SplError("invalid_request", "follow answers NDJSON only", {
          hint: `send Accept: ${NDJSON_TYPE}`,
        });
      }
      const read = async ({ after }: { after?: string }) => {
        const { items, more, next } = await readSince(call, Number(after ?? 0));
        return { items, next: more ? String(next) : null };
      };
      return listing({ ...call, query: { after: String(query.after), limit: query.limit } }, read, feedLine);
    },
  }),
  route({
    method: "GET",
    path: "/v1/records/:id",
    summary: "One record",
    scope: "records:read",
    grain: "read",
    answers: { 200: { [JSON_TYPE]: Envelope } },
    async handle({ ctx, params, grant }) {
      const entry = await getRecord(ctx.instance, params.id!);
      grant.requireRead(entry.thread);
      return new Response(envelopeLine(entry), { headers: { "content-type": JSON_TYPE } });
    },
  }),
];

/** Ends when the client goes or loses the right to read, or the instance stops. */
async function* follow(call: Call<FeedQuery>): AsyncGenerator<string> {
  const { changes, sessions, stopping } = call.ctx;
  using session = sessions.open(call.grant);
  const signal = AbortSignal.any([stopping, call.request.signal, session.signal]);
  let after = call.query.after;
  while (!signal.aborted) {
    const changed = changes.next;
    const { items, next } = await readSince(call, after);
    after = next;
    if (items.length === 0) {
      // Also sent at once when nothing is there yet: it tells the client that the stream stands.
      yield "\n";
      await changeOrHeartbeat(changed, signal);
    } else {
      yield items.map((item) => `${feedLine(item)}\n`).join("");
    }
  }
}

function readSince({ ctx, query }: Call<FeedQuery>, after: number): ReturnType<typeof recordsSince> {
  const thread = query.thread === undefined ? {} : { thread: query.thread };
  return recordsSince(ctx.instance, { after, limit: query.limit, ...thread });
}

function feedLine(entry: SequencedEntry): string {
  return `{"seq":${entry.seq},${envelopeLine(entry).slice(1)}`;
}
