import { z } from "zod";
import { SplError } from "../../../lib/base/errors.ts";
import { faultOf } from "../../../lib/hosting/labels.ts";
import { openSession, ownInstance } from "../../../lib/hosting/owners.ts";
import { addLink, reserve } from "../../../lib/hosting/signup.ts";
import { type InstanceView, instanceView } from "../../../lib/hosting/view.ts";
import { json } from "../../answer.ts";
import { negotiate } from "../../stages/negotiate.ts";
import { readSmallJson } from "../body.ts";
import type { HostingCall, HostingRoute } from "../route.ts";
import { sessionCookie } from "../session.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** How often an event stream looks by itself: another process may be at work. */
const LOOK_MS = 1000;

const Wish = z.strictObject({
  label: z.string(),
  plan: z.string().optional(),
  invitation: z.string().optional(),
});

export const provisionRoutes: HostingRoute[] = [
  {
    method: "GET",
    path: "/v1/labels/:label",
    summary: "Whether a label may be asked for",
    pace: { most: 240, windowMs: MINUTE },
    async handle({ service, params }) {
      const label = params.label!;
      const reason =
        faultOf(label) ?? ((await service.hosting.registry.isTaken(label)) ? "it is taken" : null);
      return json({ label, available: reason === null, reason });
    },
  },
  {
    method: "GET",
    path: "/v1/plans",
    summary: "The plans, and who may ask for an instance",
    handle: ({ service: { hosting } }) =>
      json({ signup: hosting.settings.signup, plans: hosting.settings.plans }),
  },
  {
    method: "POST",
    path: "/v1/provision",
    summary: "Begins to make an instance; sets the cookie of its owner's session",
    pace: { most: 20, windowMs: HOUR },
    async handle({ service, request, owner: known }) {
      const { hosting, provisioner } = service;
      const wish = await readSmallJson(request, Wish);
      const { id, owner } = await reserve(hosting, wish, known);
      const headers: Record<string, string> = { location: `/v1/provision/${id}` };
      if (known === null) {
        headers["set-cookie"] = sessionCookie(await openSession(hosting, owner), hosting.settings.base);
      }
      provisioner.start(id);
      return json(await viewOf(service, id), 202, headers);
    },
  },
  {
    method: "GET",
    path: "/v1/provision",
    summary: "The instances of the session's owner, oldest first",
    async handle({ service: { hosting }, owner }) {
      const own = owner === null ? [] : await hosting.registry.list({ owner });
      return json(await Promise.all(own.map((instance) => instanceView(hosting, instance))));
    },
  },
  {
    method: "GET",
    path: "/v1/provision/:id",
    summary: "How far an instance is; as server-sent events until it is ready or has failed",
    async handle(call) {
      const { service, request, owner, params } = call;
      const instance = await ownInstance(service.hosting, owner, params.id!);
      // Whoever looks has it go on, where the process that was at work is gone.
      if (instance.state === "provisioning" || instance.state === "failing")
        service.provisioner.start(instance.id);
      const type = negotiate(request.headers.get("accept"), ["application/json", "text/event-stream"]);
      if (type === "application/json") return json(await instanceView(service.hosting, instance));
      call.patience?.();
      const headers = { "content-type": "text/event-stream", "x-accel-buffering": "no" };
      return new Response(events(call, instance.id), { headers });
    },
  },
  {
    method: "POST",
    path: "/v1/provision/:id/regenerate",
    summary: "A new one-shot link to a new bootstrap token; the links before it are void",
    pace: { most: 30, windowMs: HOUR },
    async handle({ service, owner, params }) {
      const instance = await ownInstance(service.hosting, owner, params.id!);
      if (instance.state !== "ready") {
        throw new SplError("conflict", `the instance is ${instance.state}, not ready`);
      }
      await addLink(service.hosting, instance.id);
      return json(await viewOf(service, instance.id));
    },
  },
];

async function viewOf({ hosting }: HostingCall["service"], id: string): Promise<InstanceView> {
  return instanceView(hosting, (await hosting.registry.instance(id))!);
}

/** The view at once and at each change, until nothing more is to come. */
function events({ service, request, stopping }: HostingCall, id: string): ReadableStream<Uint8Array> {
  const ended = AbortSignal.any([request.signal, stopping]);
  const encoder = new TextEncoder();
  let last = "";
  return new ReadableStream(
    {
      async pull(controller) {
        for (;;) {
          if (ended.aborted) return controller.close();
          const next = service.provisioner.notices.next(
            id,
            AbortSignal.any([ended, service.hosting.ports.deadline(LOOK_MS)]),
          );
          const view = await viewOf(service, id);
          // Whoever was at work may be gone in the middle of it.
          if (view.state === "provisioning") service.provisioner.start(id);
          const text = JSON.stringify(view);
          if (text !== last) {
            last = text;
            controller.enqueue(encoder.encode(`data: ${text}\n\n`));
            if (view.state !== "provisioning" && view.state !== "failing") controller.close();
            return;
          }
          await next;
        }
      },
    },
    { highWaterMark: 0 },
  );
}
