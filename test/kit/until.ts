/** How long something that happens by itself may take; it is looked for often, and fails the test after that. */
const PATIENCE_MS = 15_000;
const LOOK_MS = 50;

/** What `look` sees, as soon as it fits. @param patienceMs where more than this machine has to act, such as its clock */
export async function until<T>(
  look: () => Promise<T>,
  fits: (seen: T) => boolean,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const seen = await look();
    if (fits(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`still ${JSON.stringify(seen)}`);
    await Bun.sleep(LOOK_MS);
  }
}
