import type { Standing } from "./desk.ts";

/** How long the stream may say nothing; a sign of life comes twice within it. */
const SILENCE_MS = 60_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

export type Liveness = "connecting" | "live" | "reconnecting" | "off";

export interface LiveHandlers {
  onStanding(standing: Standing): void;
  onLiveness(liveness: Liveness): void;
  /** The token is good no longer. */
  onRefused(): void;
  /** The instance is not here any more, and will not be again. */
  onGone(): void;
}

/**
 * Follows the instance until `signal` aborts; connects anew when the stream ends, later and later. Not by EventSource,
 * which sends no token.
 */
export async function follow(token: string | null, signal: AbortSignal, on: LiveHandlers): Promise<void> {
  let pause = FIRST_PAUSE_MS;
  for (on.onLiveness("connecting"); !signal.aborted; on.onLiveness("reconnecting")) {
    const status = await stream(token, signal, (standing) => {
      pause = FIRST_PAUSE_MS;
      on.onLiveness("live");
      on.onStanding(standing);
    });
    if (signal.aborted) return;
    if (status === 401) return on.onRefused();
    if (status === 410) return on.onGone();
    // What this token may not read, or an instance does not offer, will not come by waiting.
    if (status === 403 || status === 404) return on.onLiveness("off");
    on.onLiveness("reconnecting");
    // Browsers that were cut off together do not come back together.
    await resting(pause * (0.75 + Math.random() / 2), signal);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

/** @returns the status of the answer, 0 without one, when the stream has ended */
async function stream(
  token: string | null,
  signal: AbortSignal,
  onStanding: (standing: Standing) => void,
): Promise<number> {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), SILENCE_MS);
  let status = 0;
  try {
    const response = await fetch("v1/events", {
      headers: { accept: "text/event-stream", ...(token !== null && { authorization: `Bearer ${token}` }) },
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.any([signal, silent.signal]),
    });
    status = response.status;
    if (!response.ok || response.body === null) return status;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE_MS);
    };
    for await (const { event, data } of eventsOf(response.body, alive)) {
      if (event === "status") onStanding(JSON.parse(data) as Standing);
    }
  } catch {
    // Cut: by the network, by a revocation, or because nothing came.
  } finally {
    clearTimeout(timer);
    silent.abort();
  }
  return status;
}

/** The events of a stream (HTML standard, section 9.2.6); comments are passed over. */
async function* eventsOf(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void,
): AsyncGenerator<{ event: string; data: string }> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  for (let rest = ""; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    onBytes();
    const parts = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = parts.pop()!;
    for (const part of parts) {
      const fields = part.split("\n").map((line) => /^(event|data): ?(.*)$/.exec(line));
      const of = (name: string) => fields.filter((field) => field?.[1] === name).map((field) => field![2]);
      if (of("data").length > 0)
        yield { event: of("event").at(-1) ?? "message", data: of("data").join("\n") };
    }
  }
}

/** Resolves after `ms`, and at once when the network is back or the page has no use for it any more. */
async function resting(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = () => resolve();
  const timer = setTimeout(wake, ms);
  signal.addEventListener("abort", wake);
  addEventListener("online", wake);
  await promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", wake);
  removeEventListener("online", wake);
}
