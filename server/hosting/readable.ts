import { HTML_TYPE, PROBLEM_TYPE } from "../../lib/api/media.ts";
import type { Problem } from "../../lib/api/problem.ts";
import { negotiate } from "../stages/negotiate.ts";

/** A refusal of the service as its reader can read it: for a browser that opens it, a page with the same words. */
export async function readable(request: Request, refusal: Response, base: string): Promise<Response> {
  if (negotiate(request.headers.get("accept"), [PROBLEM_TYPE, HTML_TYPE]) === PROBLEM_TYPE) return refusal;
  const { refusalPage } = await import("../pages/refusal.ts");
  const page = refusalPage((await refusal.json()) as Problem, base);
  const headers = new Headers(refusal.headers);
  for (const [name, value] of page.headers) headers.set(name, value);
  return new Response(page.body, { status: refusal.status, headers });
}
