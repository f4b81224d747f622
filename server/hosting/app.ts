import { toSplError } from "../../lib/api/problem.ts";
import { SplError } from "../../lib/base/errors.ts";
import { ownerOf } from "../../lib/hosting/owners.ts";
import type { HostingService } from "../../lib/hosting/service.ts";
import { makeMatcher } from "../match.ts";
import { problemResponse } from "../stages/problem.ts";
import { sourceOf } from "./client.ts";
import { type Place, proxied } from "./proxied.ts";
import { readable } from "./readable.ts";
import type { HostingCall, Visitor } from "./route.ts";
import { HOSTING_ROUTES } from "./routes/index.ts";
import { sessionIn } from "./session.ts";

export type HostingApp = (request: Request, visitor: Visitor) => Promise<Response>;

/**
 * Everything that a hosting service answers, as a function over `fetch`: its own pages and API on the service's name, and
 * the instances on theirs. It opens no port and needs no Bun. It never throws.
 */
export function makeHostingApp(service: HostingService): HostingApp {
  const match = makeMatcher(HOSTING_ROUTES, "an instance begins at /start");
  const { settings, ports } = service.hosting;
  const base = new URL(settings.base);

  async function own(request: Request, url: URL, visitor: Visitor): Promise<Response> {
    const { route, params } = await match(request.method, url);
    const operator = visitor.client === null;
    if (route.operator && !operator) throw new SplError("not_found", `there is nothing at ${url.pathname}`);
    const client = visitor.client ?? "operator";
    if (route.pace && !operator) await step(service, route, params, sourceOf(client));
    const owner = await ownerOf(service.hosting, sessionIn(request, settings.base));
    if (!operator) checkOrigin(request, settings.base, owner !== null);
    const { stopping, patience } = visitor;
    const call: HostingCall = {
      service,
      request,
      url,
      params,
      client,
      owner,
      stopping,
      ...(patience && { patience }),
    };
    const response = await route.handle(call);
    response.headers.set("cache-control", "no-store");
    response.headers.set("x-content-type-options", "nosniff");
    if (request.method !== "HEAD") return response;
    await response.body?.cancel();
    return new Response(null, { status: response.status, headers: response.headers });
  }

  return async (request, visitor) => {
    const began = ports.clock();
    let response: Response;
    try {
      const url = URL.parse(request.url);
      if (url === null)
        throw new SplError("invalid_request", "the request has no valid target and Host header");
      const place = placeOf(request, url, base, visitor);
      response =
        place === null ? await own(request, url, visitor) : await proxied(service, request, place, visitor);
    } catch (error) {
      response = problemResponse(error, ports.log);
      response.headers.set("cache-control", "no-store");
      response.headers.set("x-content-type-options", "nosniff");
      if (toSplError(error).code === "hosting_unavailable") response.headers.set("retry-after", "5");
      response = await readable(request, response, settings.base);
    }
    if (response.status >= 500) {
      const path = new URL(request.url).pathname;
      ports.log("request-failed", { status: response.status, path: shown(path), ms: ports.clock() - began });
    }
    return response;
  };
}

const UNDER = /^\/i\/([^/]+)(\/.*)?$/s;

/** Which instance a request is for; null for the service itself. @throws SplError host_refused for a name that is neither the service's nor an instance's */
function placeOf(request: Request, url: URL, base: URL, visitor: Visitor): Place | null {
  if (visitor.client === null) return null;
  const name = nameIn(request.headers.get("host") ?? url.host);
  if (name === base.hostname) {
    const under = UNDER.exec(url.pathname);
    return under ? { label: under[1]!, path: under[2] ?? "/", shared: true } : null;
  }
  const domain = `.${base.hostname}`;
  if (name?.endsWith(domain))
    return { label: name.slice(0, -domain.length), path: url.pathname, shared: false };
  throw new SplError("host_refused", "this service does not answer to that name", {
    hint: `it is ${base.origin}`,
  });
}

/** A Host header without its port, lowercase; null for what is none. */
function nameIn(host: string): string | null {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec(host.toLowerCase())?.[1] ?? null;
}

/**
 * What changes something with a session comes from our own pages: a browser says where from (Fetch, section 3.2).
 * @throws SplError host_refused
 */
function checkOrigin(request: Request, base: string, signedIn: boolean): void {
  if (request.method === "GET" || request.method === "HEAD") return;
  const origin = request.headers.get("origin");
  if (origin === base || (origin === null && !signedIn)) return;
  // The reveal form of a page without referrer: the link itself is the right to it.
  if (origin === "null" && request.headers.get("sec-fetch-site") === "same-origin") return;
  throw new SplError("host_refused", "only the pages of this service may do that", {
    hint: `open ${base}, or send its origin`,
  });
}

async function step(
  service: HostingService,
  route: (typeof HOSTING_ROUTES)[number],
  params: Record<string, string>,
  address: string,
): Promise<void> {
  const { registry, ports } = service.hosting;
  const { most, windowMs, apart } = route.pace!;
  const what = apart && (await apart(service, params));
  const source = what ? `${address} ${what}` : address;
  const window = Math.floor(ports.clock() / windowMs);
  const kind = `${route.method} ${route.path}`;
  const n = await registry.countCall(source, kind, window);
  if (n === 1) await registry.forgetCalls(kind, window);
  if (n <= most) return;
  const retry_after = Math.ceil(((window + 1) * windowMs - ports.clock()) / 1000);
  throw new SplError("rate_limited", `more than ${most} such requests came from this address`, {
    hint: `try again in ${retry_after} seconds`,
    detail: { retry_after },
  });
}

/** Without the secret of a one-shot link. */
function shown(path: string): string {
  return path.startsWith("/first-run/") ? "/first-run/***" : path;
}
