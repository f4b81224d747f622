import { HTML_TYPE, JSON_TYPE } from "../../../lib/api/media.ts";
import { isoTime } from "../../../lib/base/clock.ts";
import { SplError } from "../../../lib/base/errors.ts";
import { BOOTSTRAP_MS } from "../../../lib/base/limits.ts";
import { firstRun, reveal } from "../../../lib/hosting/first_run.ts";
import { json } from "../../answer.ts";
import type { FirstRunState } from "../../pages/first_run.ts";
import { negotiate } from "../../stages/negotiate.ts";
import type { HostingCall, HostingRoute } from "../route.ts";

const MINUTE = 60_000;

export const firstRunRoutes: HostingRoute[] = [
  {
    method: "GET",
    path: "/first-run/:secret",
    summary: "The page behind a one-shot link; to look at it uses nothing up",
    pace: { most: 240, windowMs: MINUTE },
    async handle(call) {
      return shown(await stateOf(call));
    },
  },
  {
    method: "POST",
    path: "/first-run/:secret",
    summary: "Makes and shows the bootstrap token, once",
    pace: { most: 120, windowMs: MINUTE },
    async handle(call) {
      const { service, request, params } = call;
      const page = negotiate(request.headers.get("accept"), [JSON_TYPE, HTML_TYPE]) === HTML_TYPE;
      try {
        const { instance, token, recovery_code } = await reveal(
          service.hosting,
          params.secret!,
          service.awake,
        );
        if (!page) return json({ url: instance.url, token, recovery_code });
        return shown({ kind: "revealed", url: instance.url, token, recoveryCode: recovery_code });
      } catch (error) {
        // Someone was first: the page says when.
        if (page && error instanceof SplError && error.code === "conflict")
          return shown(await stateOf(call), 409);
        throw error;
      }
    },
  },
];

/** How the link stands, for who looks at it without using it. */
async function stateOf({ service, params, owner }: HostingCall): Promise<FirstRunState> {
  const { link, instance } = await firstRun(service.hosting, params.secret!);
  const { url, state } = instance;
  const whose = owner === instance.owner ? instance.id : null;
  const { revealed_at } = link;
  if (revealed_at !== null) {
    const expired = service.hosting.ports.clock() > revealed_at + BOOTSTRAP_MS;
    return { kind: "used", url, at: isoTime(revealed_at), expired, owner: whose };
  }
  if (link.void) return { kind: "void", url, owner: whose };
  return state === "ready" ? { kind: "sealed", url } : { kind: "waiting", url, state };
}

async function shown(state: FirstRunState, status = 200): Promise<Response> {
  const { firstRunPage } = await import("../../pages/first_run.ts");
  const page = firstRunPage(state);
  return status === 200 ? page : new Response(page.body, { status, headers: page.headers });
}
