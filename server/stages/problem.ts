import { PROBLEM_TYPE } from "../../lib/api/media.ts";
import { toProblem, toSplError } from "../../lib/api/problem.ts";
import type { Log } from "../log.ts";

/** The one place where what was thrown becomes an answer. What nobody foresaw is told to the log only. */
export function problemResponse(thrown: unknown, log: Log): Response {
  const { code, cause, detail } = toSplError(thrown);
  if (code === "internal") log("internal-error", { error: describe(cause ?? thrown) });
  const problem = toProblem(thrown);
  const headers = new Headers({ "content-type": PROBLEM_TYPE });
  // RFC 6750, section 3; RFC 9110, sections 10.2.1 and 10.2.3.
  if (problem.status === 401) headers.set("www-authenticate", 'Bearer realm="spl"');
  if (code === "method_not_allowed") headers.set("allow", String(detail?.allow ?? ""));
  if (code === "rate_limited") headers.set("retry-after", String(detail?.retry_after));
  if (code === "store_busy") headers.set("retry-after", "5");
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
