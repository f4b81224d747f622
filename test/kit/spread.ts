/** True when the long sweeps were asked for: `SPL_SLOW_TESTS=1`. */
export const SLOW = process.env.SPL_SLOW_TESTS === "1";

/** How long a test may take that starts processes. */
export const LIMIT_MS = SLOW ? 600_000 : 60_000;

/** `n` of the items, evenly spread, the last among them; all of them where they are asked for or are no more than that. */
export function spread<T>(items: readonly T[], n: number): T[] {
  if (SLOW || items.length <= n) return [...items];
  return Array.from({ length: n }, (_, i) => items[Math.ceil(((i + 1) * items.length) / n) - 1]!);
}

/** Numbers in [0, 1) that the seed fixes (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Two at a time, as two cores can. */
export async function inLanes<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const lane = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all([lane(), lane()]);
}
