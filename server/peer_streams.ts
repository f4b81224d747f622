import type { Clock } from "../lib/base/clock.ts";
import { SplError } from "../lib/base/errors.ts";

/** Of one peer at once. It needs one; the others are those of which nobody has noticed yet that they are gone. */
const MOST = 4;
/** How long a stream stands before a newer one may take its place, so that opening them comes to an end as well. */
const LEAST_MS = 10_000;

export interface PeerStream extends Disposable {
  /** Unix milliseconds. */
  since: number;
  /** Aborts when another takes its place, and when it is disposed of. */
  signal: AbortSignal;
}

/** The event streams that peers have open, a few each: every one costs memory, and a read with every change. */
export class PeerStreams {
  /** By DID, the oldest first. */
  readonly #open = new Map<string, PeerStream[]>();

  constructor(readonly clock: Clock) {}

  /**
   * A place for one more stream of a peer, to be disposed of when that ends. Beyond a few, the newest takes the place of
   * the oldest: who comes back must not wait for his old stream to be missed.
   * @throws SplError rate_limited where the oldest was opened just now, with `retry_after` in seconds
   */
  open(did: string): PeerStream {
    const since = this.clock();
    const streams = this.#open.get(did) ?? [];
    const [oldest] = streams;
    if (oldest !== undefined && streams.length >= MOST) {
      const left = oldest.since + LEAST_MS - since;
      // Of a clock that was set back nothing follows.
      if (left > 0 && left <= LEAST_MS) {
        throw new SplError("rate_limited", `${did} has just opened ${MOST} streams`, {
          hint: "one is enough",
          detail: { retry_after: Math.ceil(left / 1000) },
        });
      }
      oldest[Symbol.dispose]();
    }
    const ending = new AbortController();
    const stream: PeerStream = {
      since,
      signal: ending.signal,
      [Symbol.dispose]: () => {
        ending.abort();
        this.#leave(did, stream);
      },
    };
    this.#open.set(did, [...(this.#open.get(did) ?? []), stream]);
    return stream;
  }

  #leave(did: string, stream: PeerStream): void {
    const others = (this.#open.get(did) ?? []).filter((each) => each !== stream);
    if (others.length > 0) this.#open.set(did, others);
    else this.#open.delete(did);
  }
}
