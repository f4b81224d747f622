/** A sign of life this often keeps a quiet stream alive on its way through proxies. */
const HEARTBEAT_MS = 25_000;

/** Tells the streams that follow the feed when there may be something new. */
export class Changes {
  #next = Promise.withResolvers<void>();

  /** Resolves at the next `announce`. Take it before reading, so that nothing is missed in between. */
  get next(): Promise<void> {
    return this.#next.promise;
  }

  announce(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers<void>();
  }
}

/** Resolves at a change, when a sign of life is due, or when the stream has to end. */
export async function changeOrHeartbeat(changed: Promise<void>, signal: AbortSignal): Promise<void> {
  await new Heartbeat().orChange(changed, signal);
}

/** When the next sign of life is due, however often something changes before. */
export class Heartbeat {
  readonly #due = performance.now() + HEARTBEAT_MS;

  /** Resolves at a change, when the sign is due, or when the stream has to end: whether it is due. */
  async orChange(changed: Promise<void>, signal: AbortSignal): Promise<boolean> {
    await wait(Math.max(0, this.#due - performance.now()), signal, [changed]);
    return performance.now() >= this.#due;
  }
}

/** Resolves when so much time has passed, or the stream has to end. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return wait(ms, signal, []);
}

async function wait(ms: number, signal: AbortSignal, sooner: Promise<void>[]): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = () => resolve();
  const timer = setTimeout(wake, ms);
  signal.addEventListener("abort", wake);
  await Promise.race([promise, ...sooner]);
  signal.removeEventListener("abort", wake);
  clearTimeout(timer);
}
