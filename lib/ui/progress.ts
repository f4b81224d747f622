import type { Clock } from "../base/clock.ts";
import { safeText } from "../base/safe_text.ts";
import { fit } from "./fit.ts";
import type { Writer } from "./streams.ts";

const REDRAW_MS = 100;
const WIPE = "\r\x1b[2K";

/** One line on standard error that tells how far a command is. Silent unless `enabled`. */
export class Progress {
  readonly #err: Writer;
  readonly #enabled: boolean;
  readonly #clock: Clock;
  readonly #width: number;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #visible = false;

  /** @param options.width columns of the terminal; a longer line is cut, since a wrapped one cannot be wiped */
  constructor(err: Writer, options: { enabled: boolean; clock: Clock; width: number }) {
    this.#err = err;
    this.#enabled = options.enabled;
    this.#clock = options.clock;
    this.#width = options.width;
  }

  /** Draws at most ten times a second; what comes in between is dropped. */
  update(text: string): void {
    const now = this.#clock();
    if (!this.#enabled || now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    this.#visible = true;
    this.#draw(WIPE + fit(safeText(text), this.#width - 1));
  }

  /** Wipes the line; resolves when it is gone, so that something else can be said on either stream. */
  async clear(): Promise<void> {
    if (!this.#visible) return;
    this.#visible = false;
    this.#draw(WIPE);
    await this.#err.flush().catch(() => undefined);
  }

  /** Progress is a courtesy: a standard error that cannot be written is no reason to fail. */
  #draw(text: string): void {
    this.#err.write(text).catch(() => undefined);
  }
}
