import { EVENTS_TYPE } from "../api/media.ts";
import type { Clock } from "../base/clock.ts";
import type { Address } from "./types.ts";

/** What starts and stops machines. Of one key only one of these runs at a time. */
export interface Machines {
  /** Where it answers, once it does; a machine that is awake already is no error. */
  wake(key: string): Promise<Address>;
  sleep(key: string): Promise<void>;
}

/** A machine that may be running. */
interface Waker {
  /** Requests that have come and not ended. */
  open: number;
  /** How many of them only listen, to a stream of events. */
  listening: number;
  /** When the last of them ended. */
  idleSince: number;
  /** The wake that is going on or has been; null before it, and when it has failed. */
  waking: Promise<Address> | null;
  /** Who waits for the last of the open requests to end, or to only listen. */
  quiet: Set<() => void>;
  /** The way to sleep, and whether it led there; never rejects. */
  sleeping: Promise<boolean> | null;
}

/**
 * Keeps machines awake while requests need them. A request is counted from its arrival to the last byte of its answer,
 * an event stream for as long as it is open, and no machine is stopped in between. One that comes while its machine is
 * being stopped waits for that, and wakes it again.
 */
export class Awake {
  readonly #wakers = new Map<string, Waker>();

  /**
   * @param idleMs how long a machine is awake for nobody
   * @param failed hears what kept a machine from sleep; it is tried again after the same time
   */
  constructor(
    readonly machines: Machines,
    readonly idleMs: number,
    readonly clock: Clock,
    readonly failed: (key: string, error: unknown) => void,
  ) {}

  /**
   * What `answer` makes of the machine, which is awake until the end of the answer's body. Requests that find it asleep
   * share one wake.
   * @throws what `wake` or `answer` throw; the next request wakes it anew
   */
  async serve(key: string, answer: (address: Address) => Promise<Response>): Promise<Response> {
    const waker = this.#waker(key);
    waker.open++;
    let here = true;
    let listens = false;
    const leave = () => {
      if (!here) return;
      here = false;
      if (listens) waker.listening--;
      this.#left(waker);
    };
    let waking: Promise<Address> | null = null;
    try {
      await waker.sleeping;
      waking = waker.waking ??= this.machines.wake(key);
      const response = await answer(await waking);
      listens = response.body !== null && !!response.headers.get("content-type")?.startsWith(EVENTS_TYPE);
      if (listens) {
        waker.listening++;
        tellQuiet(waker);
      }
      return untilEnd(response, leave);
    } catch (error) {
      // It may have died, and answer elsewhere from now on.
      if (waker.waking === waking) waker.waking = null;
      leave();
      throw error;
    }
  }

  /** Does what needs the machine, which `task` wakes itself, and lets it not be stopped meanwhile. */
  async hold<T>(key: string, task: () => Promise<T>): Promise<T> {
    const waker = this.#waker(key);
    waker.open++;
    try {
      await waker.sleeping;
      return await task();
    } finally {
      this.#left(waker);
    }
  }

  /** Counts a machine among those awake that runs for nobody yet: a new one, or one that a service starts beside. */
  found(key: string): void {
    this.#waker(key);
  }

  /** Stops the machine unless a request needs it, or comes meanwhile (`needed`). */
  async sleep(key: string): Promise<"asleep" | "needed" | "failed"> {
    const waker = this.#waker(key);
    if (waker.open > 0) return "needed";
    waker.sleeping ??= this.#stop(key, waker);
    if (!(await waker.sleeping)) return "failed";
    return this.#wakers.has(key) ? "needed" : "asleep";
  }

  /** Stops all that have been idle for long enough, and returns once they sleep. */
  async sweep(): Promise<void> {
    const due = this.clock() - this.idleMs;
    const idle = [...this.#wakers].filter(([, { open, idleSince }]) => open === 0 && idleSince <= due);
    await Promise.all(idle.map(([key]) => this.sleep(key)));
  }

  /** Machines that may be running. */
  get keys(): string[] {
    return [...this.#wakers.keys()];
  }

  /** How many requests need the machine now. */
  open(key: string): number {
    return this.#wakers.get(key)?.open ?? 0;
  }

  /** Resolves once no request does anything with the machine but listen, or the signal aborts: whether none does. */
  async quiet(key: string, signal: AbortSignal): Promise<boolean> {
    const waker = this.#wakers.get(key);
    if (waker === undefined) return true;
    while (isBusy(waker) && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waker.quiet.add(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
      await promise;
    }
    return !isBusy(waker);
  }

  #waker(key: string): Waker {
    let waker = this.#wakers.get(key);
    if (waker === undefined) {
      waker = {
        open: 0,
        listening: 0,
        idleSince: this.clock(),
        quiet: new Set(),
        waking: null,
        sleeping: null,
      };
      this.#wakers.set(key, waker);
    }
    return waker;
  }

  #left(waker: Waker): void {
    if (--waker.open === 0) waker.idleSince = this.clock();
    tellQuiet(waker);
  }

  async #stop(key: string, waker: Waker): Promise<boolean> {
    let asleep = true;
    try {
      await this.machines.sleep(key);
    } catch (error) {
      asleep = false;
      waker.idleSince = this.clock();
      this.failed(key, error);
    }
    waker.waking = null;
    waker.sleeping = null;
    if (asleep && waker.open === 0) this.#wakers.delete(key);
    return asleep;
  }
}

function isBusy({ open, listening }: Waker): boolean {
  return open > listening;
}

function tellQuiet(waker: Waker): void {
  if (isBusy(waker)) return;
  for (const resolve of waker.quiet) resolve();
  waker.quiet.clear();
}

/** The same response; `ended` is called when its body has been read to the end, has failed, or is wanted no more. */
export function untilEnd(response: Response, ended: () => void): Response {
  if (response.body === null) {
    ended();
    return response;
  }
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          ended();
          controller.close();
        } catch {
          ended();
          // Without a reason: Bun would print it, with source lines, to standard error.
          controller.error();
        }
      },
      async cancel(reason) {
        ended();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, response);
}
