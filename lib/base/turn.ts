/** Lets the event loop go on: work that never waits for anything would keep every request and the collector waiting. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Milliseconds of work after which others get their turn. */
const SPELL_MS = 10;

/** For long work in small steps: `take` between them lets the event loop go on whenever it is time. */
export class Breath {
  #since = performance.now();

  async take(): Promise<void> {
    if (performance.now() - this.#since < SPELL_MS) return;
    await nextTurn();
    this.#since = performance.now();
  }
}
