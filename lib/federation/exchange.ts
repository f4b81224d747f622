import { fromProblem } from "../api/problem.ts";
import { type ErrorCode, SplError } from "../base/errors.ts";
import { parseJson } from "../record/json.ts";
import type { Json } from "../record/types.ts";
import type { FederationContext } from "./context.ts";
import { readWhole, type SafeRequest, safeFetch } from "./safe_fetch.ts";

/** Small answers of public endpoints: directories, `/.well-known/syncropel`, DID documents. Milliseconds. */
const HEAD_MS = 5000;
const BODY = { idleMs: 5000, totalMs: 10_000 };

/** What another instance may refuse with; any other code is none of its business. */
export const REFUSALS: readonly ErrorCode[] = [
  "pair_unknown",
  "signature_refused",
  "statement_refused",
  "cursor_invalid",
  "rate_limited",
  "invalid_request",
  "body_too_large",
];

export type Dialling = Pick<FederationContext, "policy" | "resolve" | "isolated" | "heardClock">;

/**
 * One request whose answer is JSON; null for 404.
 * @param most bytes of the answer
 * @throws SplError the callee's own problem, in its words and without its advice, and what `safeFetch` throws; address_refused while isolated
 */
export async function exchangeJson(
  { policy, resolve, isolated, heardClock }: Dialling,
  url: string,
  request: SafeRequest,
  most: number,
): Promise<Json | null> {
  requireConnected(isolated);
  const response = await safeFetch(url, request, { policy, headMs: HEAD_MS, ...(resolve && { resolve }) });
  const { origin } = new URL(url);
  heardClock?.(origin, response.headers.get("date"));
  const body = await readWhole(response, { ...BODY, most });
  if (response.status === 404) return null;
  let value: Json;
  try {
    value = parseJson(body);
  } catch (cause) {
    throw new SplError(
      "peer_misbehaves",
      `${origin} answers ${response.status} with something else than JSON`,
      {
        cause,
      },
    );
  }
  if (response.status < 300) return value;
  const told = fromProblem(value);
  if (told) {
    const code = REFUSALS.includes(told.code) ? told.code : "peer_misbehaves";
    throw new SplError(code, `${origin} answers: ${told.message.slice(0, 500)}`);
  }
  throw new SplError("peer_misbehaves", `${origin} answers with status ${response.status}`);
}

/** @throws SplError address_refused */
export function requireConnected(isolated: boolean): void {
  if (!isolated) return;
  throw new SplError("address_refused", "this instance is isolated: it connects to nobody", {
    hint: "spl serve without --isolated",
  });
}
