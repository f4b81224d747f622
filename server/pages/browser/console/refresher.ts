/** At least between two refreshes, and so many times as long as one took: a large instance is not kept busy by its page. */
const PAUSE_MS = 300;
const SHARE = 4;

/** Runs one refresh at a time; all that are asked for meanwhile become one more, after a pause. */
export class Refresher {
  #again = false;
  #running = false;

  constructor(readonly refresh: () => Promise<void>) {}

  /** Resolves when what it asks for is done, unless one is running already. */
  async run(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    this.#again = false;
    const since = performance.now();
    await this.refresh();
    setTimeout(() => this.#rested(), Math.max(PAUSE_MS, SHARE * (performance.now() - since)));
  }

  #rested(): void {
    this.#running = false;
    if (this.#again) this.run();
  }
}
