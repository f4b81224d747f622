/** Unix time in milliseconds. Injected wherever time decides something, so that tests own it. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();

/** ISO 8601, UTC, milliseconds: the form of `at` in record bodies. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** How far a time may run ahead of the clock, so that what is made within one second still has an order. */
const MAX_AHEAD_MS = 60_000;

/** Whether a time was written by a clock that was wrong. Unix milliseconds. */
export function isAhead(time: number, now: number): boolean {
  return time > now + MAX_AHEAD_MS;
}
