/** A source of `n` random bytes. Injected wherever chance decides something, so that tests own it. */
export type Random = (n: number) => Uint8Array;

export const systemRandom: Random = (n) => crypto.getRandomValues(new Uint8Array(n));
