import type { FederationContext } from "../lib/federation/context.ts";
import { claim, makeRound, type Round } from "../lib/federation/steward.ts";

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
   * The first round, waited for as long as that is worth it; more follow.
   * @param reclaim take the identity back, whoever has it
   * @throws SplError superseded when it cannot be taken back
   */
  async start(reclaim: boolean): Promise<void> {
    if (reclaim) this.#tell(await claim(this.ctx, "identity.reclaimed", this.#stopped.signal));
    else await this.#patiently(this.#round());
    this.#schedule();
  }

  /** This home has become another identity, which is to be its own from now on. */
  adopted(): Promise<void> {
    return this.#patiently(this.#next(() => claim(this.ctx, "identity.adopted", this.#stopped.signal)));
  }

  /** Ends what is on its way. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopped.abort();
    await this.#running;
  }

  #round(): Promise<void> {
    return this.#next(() => makeRound(this.ctx, this.#stopped.signal));
  }

  #schedule(): void {
    if (this.ctx.isolated || this.#stopped.signal.aborted) return;
    this.#timer = setTimeout(() => this.#round().then(() => this.#schedule()), this.everyMs);
  }

  /** One after the other. A failure is told in the log; the next round tries again. */
  #next(run: () => Promise<Round>): Promise<void> {
    this.#running = this.#running.then(run).then(
      (round) => this.#tell(round),
      (error) => {
        if (!this.#stopped.signal.aborted)
          this.#complain(error instanceof Error ? error.message : String(error));
      },
    );
    return this.#running;
  }

  #tell({ problem }: Round): void {
    this.#complain(problem);
  }

  /** Once for each trouble, not with every round. */
  #complain(problem: string | null): void {
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
