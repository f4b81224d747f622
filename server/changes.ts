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
