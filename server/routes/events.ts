import { EVENTS_TYPE } from "../../lib/api/media.ts";
import { status } from "../../lib/instance/status.ts";
import { eventStream } from "../answer.ts";
import { changeOrHeartbeat, pause } from "../changes.ts";
import { type Call, type Route, route } from "../route.ts";

/** The time between two events, at least: a batch of a million records is a thousand changes. */
const APART_MS = 300;

export const eventRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/events",
    summary: "Identity, state, counts and digest as events (SSE): once at the beginning, then as they change",
    scope: "records:read",
    patient: true,
    answers: { 200: { [EVENTS_TYPE]: null } },
    handle: (call) => eventStream(call, statuses(call)),
  }),
];

/** Ends when the client goes or loses the right to read, or the instance stops. */
async function* statuses({ ctx, grant, request }: Call): AsyncGenerator<string> {
  const { changes, sessions, stopping, instance } = ctx;
  using session = sessions.open(grant);
  const signal = AbortSignal.any([stopping, request.signal, session.signal]);
  for (let told = ""; !signal.aborted; ) {
    const changed = changes.next;
    const now = JSON.stringify(await status(instance));
    // A comment is a sign of life.
    yield now === told ? ":\n\n" : `event: status\ndata: ${now}\n\n`;
    told = now;
    await pause(APART_MS, signal);
    await changeOrHeartbeat(changed, signal);
  }
}
