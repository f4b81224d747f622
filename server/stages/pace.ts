import type { Clock } from "../../lib/base/clock.ts";
import { SplError } from "../../lib/base/errors.ts";
import { type Peer, sourceOf } from "./peer.ts";

const WINDOW_MS = 60_000;
/** Sources that are counted at once; a crowd beyond it shares one count. */
const MAX_COUNTS = 10_000;
const CROWD = "crowd";

/**
 * How often each source (an address) may call a public route in a minute. Kept in memory: what it guards is checked
 * anyway, and only must not keep the machine busy.
 */
export class Pace {
  #counts = new Map<string, number>();
  #since = Number.NEGATIVE_INFINITY;

  constructor(readonly clock: Clock) {}

  /**
   * Counts a call. The Unix socket is exempt.
   * @param what calls of this name count together; @param most in a minute
   * @throws SplError rate_limited with `retry_after` in seconds
   */
  step(peer: Peer, what: string, most: number): void {
    const source = sourceOf(peer);
    if (source === null) return;
    const now = this.clock();
    // A clock that was set back begins a new window as well.
    if (now < this.#since || now >= this.#since + WINDOW_MS) {
      this.#since = now;
      this.#counts = new Map();
    }
    const own = `${what} ${source}`;
    const counted = this.#counts.has(own) || this.#counts.size < MAX_COUNTS ? own : `${what} ${CROWD}`;
    const count = (this.#counts.get(counted) ?? 0) + 1;
    this.#counts.set(counted, count);
    if (count <= most) return;
    throw new SplError("rate_limited", `more than ${most} such requests came from this address in a minute`, {
      hint: "try again in a minute",
      detail: { retry_after: Math.ceil((this.#since + WINDOW_MS - now) / 1000) },
    });
  }
}
