import { z } from "zod";
import { JSON_TYPE, NDJSON_TYPE } from "../../lib/api/media.ts";
import { Envelope, pageOf, ThreadDetail, ThreadSummary } from "../../lib/api/schemas.ts";
import { SplError } from "../../lib/base/errors.ts";
import { listThreads, showThread, threadRecords } from "../../lib/instance/threads.ts";
import { envelopeLine } from "../../lib/record/envelope.ts";
import { isDid, isRecordId } from "../../lib/record/shape.ts";
import type { Entry, OrderKey } from "../../lib/record/types.ts";
import { json, listing } from "../answer.ts";
import { type Route, route } from "../route.ts";
import { limitOf } from "../stages/query.ts";

export const threadRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/threads",
    summary: "All threads, by id",
    scope: "records:read",
    query: z.strictObject({ after: z.string().optional(), limit: limitOf(1000) }),
    answers: { 200: { [JSON_TYPE]: pageOf(ThreadSummary), [NDJSON_TYPE]: ThreadSummary } },
    handle: (call) => listing(call, (page) => listThreads(call.ctx.instance, page)),
  }),
  route({
    method: "GET",
    path: "/v1/threads/:thread",
    summary: "One thread: its state, heads and forks",
    scope: "records:read",
    grain: "read",
    answers: { 200: { [JSON_TYPE]: ThreadDetail } },
    async handle({ ctx, params, grant }) {
      grant.requireRead(params.thread!);
      return json(await showThread(ctx.instance, params.thread!));
    },
  }),
  route({
    method: "GET",
    path: "/v1/threads/:thread/records",
    summary: "Records of one thread in canonical order; as NDJSON all of them, in canonical form",
    scope: "records:read",
    grain: "read",
    patient: true,
    query: z.strictObject({ after: z.string().optional(), limit: limitOf(100) }),
    answers: { 200: { [JSON_TYPE]: pageOf(Envelope), [NDJSON_TYPE]: Envelope } },
    handle(call) {
      const thread = call.params.thread!;
      call.grant.requireRead(thread);
      const read = async ({ after, limit }: { after?: string; limit: number }) => {
        const key = after === undefined ? {} : { after: parseCursor(after) };
        const { items, more } = await threadRecords(call.ctx.instance, thread, { ...key, limit });
        return { items, next: more ? cursorOf(items.at(-1)!) : null };
      };
      return listing(call, read, envelopeLine);
    },
  }),
];

/** The canonical position `(clock, actor, id)` as `clock:id:actor`. */
function cursorOf({ clock, id, actor }: Entry): string {
  return `${clock}:${id}:${actor}`;
}

function parseCursor(text: string): OrderKey {
  const [, digits, id, actor] = /^(\d{1,16}):([0-9a-f]{64}):(.+)$/.exec(text) ?? [];
  const clock = Number(digits);
  if (!isRecordId(id) || !isDid(actor) || !Number.isSafeInteger(clock)) {
    throw new SplError("invalid_request", "after is no cursor of this listing", {
      hint: "pass the next of the page before",
    });
  }
  return { clock, id, actor };
}
