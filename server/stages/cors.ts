import type { HostPolicy } from "./host.ts";

/** What our clients send, and what our answers say beside what scripts may read anyway (Fetch, section 3.3). */
const REQUEST_HEADERS = "authorization, content-type, x-syncropel-actor";
const ANSWER_HEADERS = "allow, location, retry-after, www-authenticate";
/** Seconds that a browser may remember a preflight. */
const MAX_AGE_S = "600";

/**
 * Lets the pages of an allowed origin read the answer, refusals as well. Credentials are never allowed: the API has no
 * cookie, and a page that holds a token sends it itself. A preflight asks which methods a path has, which is what the
 * 405 to its OPTIONS says.
 */
export function withCors(request: Request, response: Response, { origins }: HostPolicy): Response {
  const origin = request.headers.get("origin");
  if (origin === null || !origins.has(origin)) return response;
  const preflight = request.headers.has("access-control-request-method") && request.method === "OPTIONS";
  const answer = preflight && response.status === 405 ? approval(response) : response;
  answer.headers.set("access-control-allow-origin", origin);
  answer.headers.set("access-control-expose-headers", ANSWER_HEADERS);
  answer.headers.set("vary", "Origin");
  return answer;
}

function approval(refusal: Response): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-methods": refusal.headers.get("allow") ?? "",
      "access-control-allow-headers": REQUEST_HEADERS,
      "access-control-max-age": MAX_AGE_S,
    },
  });
}
