/** Lets the event loop go on: work that never waits for anything would keep every request and the collector waiting. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
