import { SplError } from "../base/errors.ts";
import type { Phase, PhaseTime } from "./types.ts";

/** How long each phase took in all, in the order in which they began. */
export class PhaseClock {
  readonly times: PhaseTime[] = [];
  readonly #signal: AbortSignal;
  readonly #onPhase: (phase: Phase) => void;

  constructor({ signal, onPhase }: { signal: AbortSignal; onPhase?: (phase: Phase) => void }) {
    this.#signal = signal;
    this.#onPhase = onPhase ?? (() => undefined);
  }

  /** Adds to the phase's time. @throws SplError that of `work`, with the phase in its message and detail */
  async time<T>(phase: Phase, work: () => Promise<T>): Promise<T> {
    // Whoever was interrupted still has to tear down.
    if (phase !== "tear-down") this.#signal.throwIfAborted();
    this.#onPhase(phase);
    const began = performance.now();
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof SplError)) throw error;
      throw error.retold({
        message: `drill failed in the phase ${phase}: ${error.message}`,
        detail: { phase },
      });
    } finally {
      const ms = Math.round(performance.now() - began);
      const known = this.times.find((time) => time.phase === phase);
      if (known) known.ms += ms;
      else this.times.push({ phase, ms });
    }
  }
}
