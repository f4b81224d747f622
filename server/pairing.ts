import { SplError } from "../lib/base/errors.ts";
import type { FederationContext } from "../lib/federation/context.ts";
import { followPairing } from "../lib/federation/pairing.ts";
import { listPairs } from "../lib/instance/federation.ts";

const TICK_MS = 2000;
/** Between two questions about one pairing: doubled each time. */
const FIRST_MS = 4000;
const MOST_MS = 10 * 60 * 1000;

/** Asks from time to time whether the pairings that this instance asked for are approved. */
export class PairingWatch {
  /** When each pairing is asked for again, and how long it waited before. Unix milliseconds. */
  readonly #next = new Map<string, { at: number; waited: number }>();
  #timer: NodeJS.Timeout | undefined;
  #ticking: Promise<void> = Promise.resolve();
  readonly #stopped = new AbortController();

  constructor(readonly ctx: FederationContext) {}

  start(): void {
    if (this.ctx.isolated) return;
    this.#timer ??= setInterval(() => {
      this.#ticking = this.#ticking.then(() => this.tick());
    }, TICK_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopped.abort();
    await this.#ticking;
  }

  /** Asks for those that are due. Never throws. */
  async tick(): Promise<void> {
    const { instance, log } = this.ctx;
    try {
      const now = instance.ports.clock();
      const open = (await listPairs(instance)).filter(({ approval }) => approval === "there");
      for (const id of this.#next.keys()) if (!open.some((pair) => pair.id === id)) this.#next.delete(id);
      for (const pair of open) {
        const next = this.#next.get(pair.id) ?? { at: now + FIRST_MS, waited: FIRST_MS };
        this.#next.set(pair.id, next);
        if (next.at > now) continue;
        const waited = Math.min(MOST_MS, next.waited * 2);
        this.#next.set(pair.id, { at: now + waited, waited });
        const { approval } = await followPairing(this.ctx, pair, this.#stopped.signal);
        if (approval === null) log("paired", { peer: pair.peer_did });
      }
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      log("pairing-not-followed", { error: error instanceof SplError ? error.message : String(error) });
    }
  }
}
