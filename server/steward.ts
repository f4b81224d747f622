import type { FederationContext } from "../lib/federation/context.ts";
import { resolveDid } from "../lib/federation/resolve.ts";
import { askPeers, claim, makeRound, type Round } from "../lib/federation/steward.ts";
import { standing } from "../lib/instance/steward.ts";
import type { Adoption } from "../lib/instance/types.ts";

/** How long a start, or an import that adopts, waits for the directory and the pairs; they are told on anyway. */
const PATIENCE_MS = 3000;

/**
 * Tells the directory and the pairs where this identity lives, and asks whether another home has taken it over
 * (spec, section 3): at the start, when that changes, and from time to time.
 */
export class StewardWatch {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #problem: string | null = null;
  readonly #stopped = new AbortController();

  /** @param everyMs between two rounds */
  constructor(
    readonly ctx: FederationContext,
    readonly everyMs: number,
  ) {}

  /**
   * The first round, waited for as long as that is worth it, or, where the identity is to be taken back, until everyone
   * was asked; more follow.
   * @param reclaim take the identity back, whoever has it
   * @throws SplError superseded when it cannot be taken back
   */
  async start(reclaim: boolean): Promise<void> {
    const asked = this.#round();
    if (reclaim) {
      await asked;
      await claim(this.ctx);
      await this.#patiently(this.#round());
    } else await this.#patiently(asked);
    this.#schedule();
  }

  /** Learns what the directory and its peers know of an identity that this home is about to adopt. */
  lookUp(adoption: Adoption): Promise<void> {
    const { signal } = this.#stopped;
    // The first round as that identity tells what is wrong with the directory.
    const asked = Promise.allSettled([
      resolveDid(this.ctx, adoption.did, signal),
      askPeers(this.ctx, adoption, signal),
    ]);
    return this.#patiently(asked.then(() => undefined));
  }

  /** This home has become another identity, and means to be its steward. */
  adopted(): Promise<void> {
    return this.#patiently(
      this.#next(async () => {
        const { instance } = this.ctx;
        const round = await this.#asked();
        const { state } = await instance.store.read(async (reader) =>
          standing(reader, await instance.signer(reader)),
        );
        if (state !== "superseded") return round;
        // A peer knew of an epoch above this machine's clock.
        await claim(this.ctx);
        return this.#asked();
      }),
    );
  }

  /** This home is who it was before an adoption. It tells so, and takes nothing back that went elsewhere meanwhile. */
  returned(): Promise<void> {
    return this.#patiently(this.#round());
  }

  /** Ends what is on its way. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopped.abort();
    await this.#running;
  }

  #round(): Promise<void> {
    return this.#next(() => this.#asked());
  }

  #asked(): Promise<Round> {
    return makeRound(this.ctx, this.#stopped.signal);
  }

  #schedule(): void {
    if (this.ctx.isolated || this.#stopped.signal.aborted) return;
    this.#timer = setTimeout(() => this.#round().then(() => this.#schedule()), this.everyMs);
  }

  /** One after the other. A failure is told in the log; the next round tries again. */
  #next(run: () => Promise<Round>): Promise<void> {
    this.#running = this.#running.then(run).then(
      ({ problem }) => this.#note(problem),
      (error) => this.#note(error instanceof Error ? error.message : String(error)),
    );
    return this.#running;
  }

  /** Tells a trouble once, not with every round. */
  #note(problem: string | null): void {
    if (this.#stopped.signal.aborted) return;
    if (problem !== null && problem !== this.#problem) this.ctx.log("directory", { problem });
    this.#problem = problem;
  }

  async #patiently(round: Promise<void>): Promise<void> {
    const { promise: enough, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, PATIENCE_MS);
    await Promise.race([round, enough]);
    clearTimeout(timer);
  }
}
