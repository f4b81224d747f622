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
export function changeOrHeartbeat(changed: Promise<void>, signal: AbortSignal): Promise<void> {
  return wait(HEARTBEAT_MS, signal, [changed]);
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
