import { VERSION_HEADER } from "../lib/api/media.ts";
import { SplError } from "../lib/base/errors.ts";
import { VERSION } from "../lib/base/version.ts";
import type { AppContext } from "./context.ts";
import { makeMatcher } from "./match.ts";
import type { Call, Route } from "./route.ts";
import { ROUTES } from "./routes/index.ts";
import { claimedActor, signIn } from "./stages/auth.ts";
import { checkBody } from "./stages/body.ts";
import { withCors } from "./stages/cors.ts";
import { checkHost } from "./stages/host.ts";
import { negotiate } from "./stages/negotiate.ts";
import { clientOf, type Peer } from "./stages/peer.ts";
import { problemResponse } from "./stages/problem.ts";
import { parseQuery } from "./stages/query.ts";
import { Grant } from "./stages/scope.ts";

export type App = (request: Request, peer: Peer) => Promise<Response>;

/** Everything the instance answers, as a function: it opens no port. It never throws. */
export function makeApp(ctx: AppContext): App {
  const match = makeMatcher(ROUTES, "GET /openapi.json lists what there is");
  return async (request, direct) => {
    const started = performance.now();
    const peer = clientOf(request, direct);
    let response: Response;
    let account = "";
    let matched: Route | null = null;
    const answerHeaders = new Headers();
    try {
      const url = requestUrl(request);
      // The socket's clients passed the file permissions; a browser cannot reach it.
      if (peer.transport === "tcp") checkHost(request, url, ctx.hosts);
      const { route, params } = await match(request.method, url);
      matched = route;
      checkBody(request, route);
      const grant = route.scope === null ? NOBODY : await signIn(ctx, request, route, peer);
      account = grant.account;
      checkScope(route, grant);
      const actor = claimedActor(request, grant);
      const query = parseQuery(route.query, url.searchParams);
      if (route.patient) peer.patience?.();
      const answerType = negotiate(request.headers.get("accept"), offeredBy(route));
      const call: Call = {
        ctx,
        request,
        url,
        route,
        params,
        query,
        grant,
        peer,
        actor,
        answerHeaders,
        answerType,
      };
      response = await withoutBodyForHead(request, await route.handle(call));
    } catch (error) {
      response = problemResponse(error, ctx.log);
    }
    for (const [name, value] of answerHeaders) response.headers.set(name, value);
    response = withCors(request, response, ctx.hosts);
    response.headers.set(VERSION_HEADER, VERSION);
    response.headers.set("cache-control", "no-store");
    response.headers.set("x-content-type-options", "nosniff");
    const took = performance.now() - started;
    ctx.metrics.count(matched, response.status, took / 1000);
    // A flood of guesses must not fill the disk; the audit table tells of it once.
    if ((request.method !== "GET" || response.status >= 400) && response.status !== 429) {
      const ms = Math.round(took);
      ctx.log("request", { ...loggable(request), status: response.status, ms, account, remote: peer.remote });
    }
    return response;
  };
}

const NOBODY = new Grant("", []);

/** A missing or odd Host header leaves a request without a URL, CONNECT leaves it with one that is no address. */
function requestUrl(request: Request): URL {
  const url = URL.parse(request.url);
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw new SplError("invalid_request", "the request has no valid target and Host header");
}

function checkScope({ scope, alternative, grain }: Route, grant: Grant): void {
  if (scope === null || scope === "any" || (grain && grant.hasGrain(grain))) return;
  if (alternative === undefined || !grant.has(alternative)) grant.require(scope);
}

function offeredBy({ answers }: Route): string[] {
  return Object.keys(Object.values(answers)[0]!);
}

async function withoutBodyForHead(request: Request, response: Response): Promise<Response> {
  if (request.method !== "HEAD") return response;
  await response.body?.cancel();
  return new Response(null, { status: response.status, headers: response.headers });
}

/** Only the path: a query may hold what nobody wants in a log. */
function loggable(request: Request): { method: string; path: string } {
  return { method: request.method, path: URL.parse(request.url)?.pathname ?? "" };
}
