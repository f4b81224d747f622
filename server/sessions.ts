import { SplError } from "../lib/base/errors.ts";
import type { Instance } from "../lib/instance/instance.ts";
import { keepsRights } from "../lib/instance/sign_in.ts";
import type { Grant } from "./stages/scope.ts";

/** How soon a stream ends whose token expired, at the latest. */
const SWEEP_MS = 500;

/** A stream of bytes, in or out, that goes on in someone's name. To be disposed of when it ends. */
export interface Session extends Disposable {
  /** Aborts with an SplError when the caller has lost the right to go on. */
  readonly signal: AbortSignal;
}

/**
 * The streams that are open in someone's name, so that they end with the right to them: at once when a route revokes
 * something, soon when a token expires.
 */
export class Sessions {
  readonly #open = new Map<AbortController, Grant>();
  readonly #streams = new Set<AbortController>();
  #timer: NodeJS.Timeout | undefined;

  constructor(readonly instance: Instance) {}

  open(grant: Grant): Session {
    const controller = new AbortController();
    this.#streams.add(controller);
    // The home's owner signs in with nothing that could be revoked.
    if (grant.token !== null) {
      this.#open.set(controller, grant);
      // A sweep that fails, as while the store is closed, leaves the work to the next.
      this.#timer ??= setInterval(() => this.sweep().catch(() => undefined), SWEEP_MS).unref();
    }
    return { signal: controller.signal, [Symbol.dispose]: () => this.#close(controller) };
  }

  /** How many streams are open in the name of a token. */
  get size(): number {
    return this.#open.size;
  }

  /** How many streams are open, those of the home's owner among them. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Ends the streams of tokens that are good no longer, and of accounts that lost a scope. */
  async sweep(): Promise<void> {
    const open = [...this.#open];
    const lost = await this.instance.store.read(async (reader) => {
      const now = this.instance.ports.clock();
      const kept = await Promise.all(open.map(([, grant]) => keepsRights(reader, grant, grant.token!, now)));
      return open.filter((_, at) => !kept[at]);
    });
    for (const [controller] of lost) {
      this.#close(controller);
      controller.abort(
        new SplError("unauthorized", "the token was revoked, has expired or lost a scope meanwhile", {
          hint: "spl token info tells its state",
        }),
      );
    }
  }

  #close(controller: AbortController): void {
    this.#streams.delete(controller);
    this.#open.delete(controller);
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
