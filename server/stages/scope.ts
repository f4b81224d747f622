import { SplError } from "../../lib/base/errors.ts";
import { RESERVED_THREADS } from "../../lib/folds/reserved.ts";
import type { Scope } from "../../lib/instance/scopes.ts";

/**
 * Records on these threads steer the instance itself: writing them takes more than `records:write`, else any
 * writer could pair, consent or pair devices in the instance's name.
 */
const RESERVED_SCOPES: Record<string, Scope> = {
  [RESERVED_THREADS.config]: "config:write",
  [RESERVED_THREADS.actors]: "config:write",
  [RESERVED_THREADS.pairs]: "federation:manage",
  [RESERVED_THREADS.consent]: "federation:manage",
  [RESERVED_THREADS.devices]: "admin",
};

/** What the caller of one request may do. `admin` includes every scope. */
export class Grant {
  readonly #scopes: ReadonlySet<string>;

  constructor(
    /** Whose token it was; `local` without one. */
    readonly account: string,
    scopes: readonly string[],
    /** Actors the caller may speak for; empty means any. */
    readonly actors: readonly string[] = [],
  ) {
    this.#scopes = new Set(scopes);
  }

  has(scope: Scope): boolean {
    return this.#scopes.has(scope) || this.#scopes.has("admin");
  }

  hasGrain(access: "read" | "write"): boolean {
    for (const scope of this.#scopes)
      if (scope.startsWith("thread:") && scope.endsWith(`:${access}`)) return true;
    return false;
  }

  mayRead(thread: string): boolean {
    return this.has("records:read") || this.#scopes.has(`thread:${thread}:read`);
  }

  /** @throws SplError forbidden */
  require(scope: Scope): void {
    if (!this.has(scope)) throw lacking(scope);
  }

  /** @throws SplError forbidden */
  requireRead(thread: string | undefined): void {
    if (thread === undefined ? !this.has("records:read") : !this.mayRead(thread))
      throw lacking("records:read");
  }

  /** @throws SplError forbidden */
  requireWrite(thread: string, actor: string): void {
    const scope = RESERVED_SCOPES[thread] ?? "records:write";
    if (!this.has(scope) && !this.#scopes.has(`thread:${thread}:write`)) throw lacking(scope);
    if (this.actors.length > 0 && !this.actors.includes(actor)) {
      throw new SplError("forbidden", `this token may not speak for ${actor}`, {
        hint: `it speaks for ${this.actors.join(" ")}`,
      });
    }
  }
}

/** All rights: whoever reaches the socket, which only the home's owner can open. */
export const OWNER = new Grant("local", ["admin"]);

function lacking(scope: Scope): SplError {
  return new SplError("forbidden", `this token does not have the scope ${scope}`, {
    hint: `use a token with the scope ${scope} or admin`,
    detail: { scope },
  });
}
