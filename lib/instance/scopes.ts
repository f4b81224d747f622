import { SplError } from "../base/errors.ts";
import { isDid } from "../record/shape.ts";

/** Plain scopes (spec, section 7). Beside them there are the grains `thread:<id>:read` and `thread:<id>:write`. */
export const SCOPES = [
  "records:read",
  "records:write",
  "threads:write",
  "federation:manage",
  "config:read",
  "config:write",
  "admin",
] as const;

export type Scope = (typeof SCOPES)[number];

const GRAIN = /^thread:th_[A-Za-z0-9_-]{1,128}:(read|write)$/;

/** Sorted, each once. @throws SplError invalid_request for one that does not exist, or none at all */
export function parseScopes(scopes: readonly string[]): string[] {
  for (const scope of scopes) {
    if (!(SCOPES as readonly string[]).includes(scope) && !GRAIN.test(scope)) {
      throw new SplError("invalid_request", `there is no scope "${scope}"`, {
        hint: `scopes: ${SCOPES.join(" ")} thread:ID:read thread:ID:write`,
      });
    }
  }
  if (scopes.length === 0) {
    throw new SplError("invalid_request", "no scope is named", { hint: `scopes: ${SCOPES.join(" ")}` });
  }
  return [...new Set(scopes)].sort();
}

/** Sorted, each once; none means any actor. @throws SplError invalid_request for one that is no DID */
export function parseActors(actors: readonly string[]): string[] {
  const wrong = actors.find((actor) => !isDid(actor));
  if (wrong !== undefined) throw new SplError("invalid_request", `actors: "${wrong}" is no DID`);
  return [...new Set(actors)].sort();
}
