/** Unix time in milliseconds. Injected wherever time decides something, so that tests own it. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();

/** ISO 8601, UTC, milliseconds: the form of `at` in record bodies. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
