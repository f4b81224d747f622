import { Router } from "itty-router";
import { SplError } from "../lib/base/errors.ts";

interface Match<Route> {
  route: Route;
  params: Record<string, string>;
}

/** @throws SplError not_found, method_not_allowed with the methods that are, invalid_request */
export type Matcher<Route> = (method: string, url: URL) => Promise<Match<Route>>;

/** What a route has to say of itself to be found. */
export interface Matched {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** `/v1/threads/:thread` */
  path: string;
}

/**
 * itty-router finds the path; the rest is ours, since it would leave parameters encoded, take `/x//` for `/x`, and
 * answer a wrong method or HEAD with 404.
 * @param hint for who asks for what there is not
 */
export function makeMatcher<Route extends Matched>(routes: readonly Route[], hint: string): Matcher<Route> {
  const router = Router();
  for (const [path, resource] of Map.groupBy(routes, (route) => route.path)) {
    router.all(path, ({ params }) => ({ resource, params }));
  }
  return async (method, { origin, pathname }) => {
    const tidy = !pathname.includes("//") && (pathname === "/" || !pathname.endsWith("/"));
    const found = tidy ? await router.fetch({ method, url: origin + pathname }) : undefined;
    if (!found) {
      throw new SplError("not_found", `there is nothing at ${pathname.slice(0, 200)}`, { hint });
    }
    return { route: pick(found.resource, method), params: decode(found.params) };
  };
}

function pick<Route extends Matched>(resource: Route[], method: string): Route {
  const route = resource.find((each) => each.method === (method === "HEAD" ? "GET" : method));
  if (route) return route;
  const allow = resource
    .flatMap((each) => (each.method === "GET" ? ["GET", "HEAD"] : [each.method]))
    .join(", ");
  throw new SplError("method_not_allowed", `${method} is not possible here`, { detail: { allow } });
}

function decode(params: Record<string, string>): Record<string, string> {
  try {
    return Object.fromEntries(Object.entries(params).map(([name, raw]) => [name, decodeURIComponent(raw)]));
  } catch {
    throw new SplError("invalid_request", "the path holds a malformed percent-encoding");
  }
}
