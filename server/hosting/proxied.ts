import { PROBLEM_TYPE, STATEMENT_HEADER } from "../../lib/api/media.ts";
import { toProblem } from "../../lib/api/problem.ts";
import { toBase64Url, utf8 } from "../../lib/base/bytes.ts";
import { SplError } from "../../lib/base/errors.ts";
import { listedStatement } from "../../lib/hosting/directory.ts";
import { instanceUrl } from "../../lib/hosting/hosting.ts";
import { faultOf } from "../../lib/hosting/labels.ts";
import { forward } from "../../lib/hosting/proxy.ts";
import type { HostedInstance } from "../../lib/hosting/registry.ts";
import type { HostingService } from "../../lib/hosting/service.ts";
import { readable } from "./readable.ts";
import type { Visitor } from "./route.ts";

/** Which instance a request is for, and where on it. */
export interface Place {
  label: string;
  /** Path on the instance. */
  path: string;
  /** Under the service's own name, where pages of instances must not be. */
  shared: boolean;
}

/** What an instance answers below a name that it shares with others: its API, and no page. */
const API = /^\/(?:v1|federation|directory|\.well-known)\/|^\/(?:health|openapi\.json|metrics)$/;
/** What browsers show as a page, or as a part of one. */
const PAGE = /html|xml|svg/i;
/** A page that came through all the same may do nothing (CSP level 3). */
const HARMLESS = "default-src 'none'; sandbox; frame-ancestors 'none'";

/**
 * The answer of the instance with a label; a sleeping one is woken for it.
 * @throws SplError not_found, hosting_unavailable
 */
export async function proxied(
  service: HostingService,
  request: Request,
  { label, path, shared }: Place,
  visitor: Visitor,
): Promise<Response> {
  const { registry, ports } = service.hosting;
  const instance = faultOf(label) === null ? await registry.byLabel(label) : null;
  if (instance === null) {
    throw new SplError("not_found", "there is no instance of that name here", {
      hint: `begin one at ${service.hosting.settings.base}/start`,
    });
  }
  if (instance.state === "left")
    return readable(request, await movedAway(service, instance), service.hosting.settings.base);
  if (instance.state === "deleted")
    throw new SplError("moved", `the instance ${label} was deleted`, {
      hint: `nobody gets its name again; begin another at ${service.hosting.settings.base}/start`,
    });
  requireReady(instance, label);
  if (shared && !API.test(path)) {
    throw new SplError("not_found", "the pages of an instance are not served below this name", {
      hint: "use the API, or the command line",
    });
  }
  visitor.patience?.();
  const safe = request.method === "GET" || request.method === "HEAD";
  const attempt = () =>
    service.awake.serve(instance.id, async (address) => {
      // Counted by now: what its end waits for, or what comes too late for it.
      if (!safe) requireReady(await registry.instance(instance.id), label);
      return forward(request, {
        address,
        ...(shared && { path }),
        client: visitor.client!,
        publicUrl: instance.url,
        stripCookies: shared,
        fetch: ports.fetch,
      });
    });
  const response = await attempt().catch((error) => {
    // One that died and was started again is elsewhere; what changes nothing may be asked twice.
    const again = safe && !request.signal.aborted;
    if (again && error instanceof SplError && error.code === "hosting_unavailable") return attempt();
    throw error;
  });
  if (shared) {
    response.headers.set("content-security-policy", HARMLESS);
    response.headers.set("x-content-type-options", "nosniff");
    if (PAGE.test(response.headers.get("content-type") ?? ""))
      response.headers.set("content-type", "text/plain");
    response.headers.delete("clear-site-data");
    response.headers.delete("service-worker-allowed");
  }
  return response;
}

function requireReady(instance: HostedInstance | null, label: string): void {
  if (instance?.state === "ready") return;
  throw new SplError("hosting_unavailable", `the instance ${label} is ${instance?.state ?? "gone"}`, {
    hint: "try again in a moment",
  });
}

/**
 * 410 with where the identity lives now, as it says itself: the statement is signed, so nobody has to believe this
 * service. In the header as peers read it, and in the body.
 */
async function movedAway(service: HostingService, instance: HostedInstance): Promise<Response> {
  const { label, did } = instance;
  const listed = did === null ? null : await listedStatement(service.hosting, did);
  // What the instance itself has published here leads to where it was.
  const own: (string | null)[] = [instance.url, instanceUrl(service.hosting.settings, label)];
  const statement = listed !== null && own.includes(listed.url) ? null : listed;
  const where = statement?.url ?? null;
  const error = new SplError(
    "moved",
    where === null
      ? `the instance ${label} has left; where ${did ?? "it"} lives now was not published here`
      : `the instance ${label} has left: ${did} lives at ${where}`,
    where === null
      ? { hint: "ask its owner for the new address" }
      : {
          hint: `go there, or set SPL_SERVE_URL to ${where} and sign in again`,
          detail: { url: where, did: did! },
        },
  );
  const body = { ...toProblem(error), ...(statement && { statement }) };
  const headers = new Headers({
    "content-type": PROBLEM_TYPE,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  if (statement) headers.set(STATEMENT_HEADER, toBase64Url(utf8(JSON.stringify(statement))));
  return new Response(JSON.stringify(body), { status: 410, headers });
}
