import { SplError } from "../../lib/base/errors.ts";
import { RESERVED_THREADS } from "../../lib/folds/reserved.ts";
import { type Caller, OWNER as HOME_OWNER, type Scope } from "../../lib/instance/scopes.ts";
import type { Token } from "../../lib/store/types.ts";

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
export class Grant implements Caller {
  readonly #scopes: ReadonlySet<string>;

  constructor(
    /** Whose token it was; `local` without one. */
    readonly account: string,
    readonly scopes: readonly string[],
    /** Actors the caller may speak for; empty means any. */
    readonly actors: readonly string[] = [],
    /** What the caller signed in with; null for the home's owner. */
    readonly token: Token | null = null,
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
    this.requireActor(actor);
  }

  /** @throws SplError forbidden */
  requireActor(actor: string): void {
    if (this.actors.length === 0 || this.actors.includes(actor)) return;
    throw new SplError("forbidden", `this token may not speak for ${actor}`, {
      hint: `it speaks for ${this.actors.join(" ")}`,
    });
  }
}

export const OWNER = new Grant(HOME_OWNER.account, HOME_OWNER.scopes);

function lacking(scope: Scope): SplError {
  return new SplError("forbidden", `this token does not have the scope ${scope}`, {
    hint: `use a token with the scope ${scope === "admin" ? scope : `${scope} or admin`}`,
    detail: { scope },
  });
}
