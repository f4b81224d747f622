import { z } from "zod";
import { isoTime } from "../../../lib/base/clock.ts";
import { SplError } from "../../../lib/base/errors.ts";
import { end } from "../../../lib/hosting/ending.ts";
import type { HostedInstance } from "../../../lib/hosting/registry.ts";
import { invite } from "../../../lib/hosting/signup.ts";
import { instanceView } from "../../../lib/hosting/view.ts";
import { json } from "../../answer.ts";
import { readSmallJson } from "../body.ts";
import type { HostingCall, HostingRoute } from "../route.ts";

/** What `spl host list`, `show`, `sleep`, `wake`, `delete` and `invite` call. */
export const operatorRoutes: HostingRoute[] = [
  {
    method: "GET",
    path: "/v1/host/instances",
    summary: "All instances, oldest first",
    operator: true,
    async handle({ service }) {
      const all = await service.hosting.registry.list();
      return json(await Promise.all(all.map((instance) => operatorView(service, instance))));
    },
  },
  {
    method: "GET",
    path: "/v1/host/instances/:label",
    summary: "One instance, by label or id, and how it came to be or why not",
    operator: true,
    async handle({ service, params }) {
      const instance = await service.hosting.registry.lastNamed(params.label!);
      if (instance === null) throw noSuch(params.label!);
      const { phases, failure } = await instanceView(service.hosting, instance);
      return json({ ...(await operatorView(service, instance)), phases, failure });
    },
  },
  {
    method: "POST",
    path: "/v1/host/instances/:label/sleep",
    summary: "Stops an instance that nobody needs now; the next request wakes it",
    operator: true,
    async handle({ service, params }) {
      const instance = await ready(service, params.label!);
      const led = await service.awake.sleep(instance.id);
      if (led === "asleep") return json(await operatorView(service, instance));
      throw led === "failed"
        ? new SplError("hosting_unavailable", `the instance ${instance.label} cannot be stopped`, {
            hint: "the service's log says why (sleep-failed)",
          })
        : new SplError("conflict", `the instance ${instance.label} is in use`, {
            hint: "try again in a moment",
          });
    },
  },
  {
    method: "POST",
    path: "/v1/host/instances/:label/wake",
    summary: "Starts an instance that sleeps",
    operator: true,
    async handle({ service, params }) {
      const instance = await ready(service, params.label!);
      await service.awake.serve(instance.id, async () => new Response());
      return json(await operatorView(service, instance));
    },
  },
  {
    method: "DELETE",
    path: "/v1/host/instances/:label",
    summary: "Removes an instance with all that it holds",
    operator: true,
    async handle({ service, params }) {
      const instance = await ready(service, params.label!);
      await end(service.access, instance, "deleted", null, service.awake);
      return json({ label: instance.label, state: "deleted" });
    },
  },
  {
    method: "POST",
    path: "/v1/host/invitations",
    summary: "An invitation for one instance; it is shown this once",
    operator: true,
    async handle({ service, request }) {
      const { life_ms } = await readSmallJson(
        request,
        z.strictObject({ life_ms: z.int().min(1000).optional() }),
      );
      const { signup } = service.hosting.settings;
      if (signup === "closed") {
        throw new SplError("conflict", "this service takes no new instances, so no invitation can be used", {
          hint: "start it with --signup invite, then make one",
        });
      }
      const { invitation, expires_at } = await invite(service.hosting, life_ms);
      return json({ invitation, expires_at: isoTime(expires_at), signup }, 201);
    },
  },
];

type Service = HostingCall["service"];

async function named({ hosting }: Service, label: string): Promise<HostedInstance> {
  const instance = await hosting.registry.byLabel(label);
  if (instance) return instance;
  throw noSuch(label);
}

function noSuch(label: string): SplError {
  return new SplError("not_found", `there is no instance ${label}`, { hint: "spl host list shows all" });
}

async function ready(service: Service, label: string): Promise<HostedInstance> {
  const instance = await named(service, label);
  if (instance.state === "ready") return instance;
  throw new SplError("conflict", `the instance ${label} is ${instance.state}, not ready`);
}

/** Nothing that would let the operator act as the owner: neither links nor handles. */
async function operatorView({ hosting, awake }: Service, instance: HostedInstance) {
  const { id, label, url, plan, state, did, created_at, ready_at } = instance;
  const runs = state === "ready" && (await hosting.driver.address(instance, instance.handles)) !== null;
  return {
    label,
    id,
    url,
    plan: plan.name,
    state: state === "ready" ? (runs ? "awake" : "asleep") : state,
    requests: awake.open(id),
    first_did: did,
    created_at: isoTime(created_at),
    ready_at: ready_at === null ? null : isoTime(ready_at),
  };
}
