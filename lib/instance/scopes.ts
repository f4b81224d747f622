import { SplError } from "../base/errors.ts";
import { isReserved } from "../folds/reserved.ts";
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

const GRAIN = /^thread:(th_[A-Za-z0-9_-]{1,128}):(read|write)$/;

/** In whose name a use case runs: an account of the network, or the home's owner. */
export interface Caller {
  /** Goes to the audit table. */
  account: string;
  scopes: readonly string[];
  /** Actors it may speak for; none means any. */
  actors: readonly string[];
}

/** Whoever reaches the Unix socket, which only the home's owner can open. */
export const OWNER: Caller = { account: "local", scopes: ["admin"], actors: [] };

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

/**
 * Nobody hands out more than he has: neither scopes nor actors.
 * @throws SplError forbidden
 */
export function requireWithin(caller: Caller, rights: Pick<Caller, "scopes" | "actors">): void {
  const scope = rights.scopes.find((each) => !covers(caller.scopes, each));
  if (scope !== undefined) {
    throw new SplError(
      "forbidden",
      `this token cannot give away the scope ${scope}, which it does not have`,
      {
        hint: `it has ${caller.scopes.join(" ")}`,
        detail: { scope },
      },
    );
  }
  if (caller.actors.length === 0) return;
  const { actors } = rights;
  if (actors.length === 0 || actors.some((actor) => !caller.actors.includes(actor))) {
    throw new SplError(
      "forbidden",
      "this token cannot let others speak for actors that it may not speak for",
      {
        hint: `name actors among ${caller.actors.join(" ")}`,
      },
    );
  }
}

function covers(scopes: readonly string[], wanted: string): boolean {
  if (scopes.includes(wanted) || scopes.includes("admin")) return true;
  const [, thread, access] = GRAIN.exec(wanted) ?? [];
  // `records:write` does not reach the threads that steer the instance, but a grain would.
  if (access === undefined || (access === "write" && isReserved(thread!))) return false;
  return scopes.includes(`records:${access}`);
}
