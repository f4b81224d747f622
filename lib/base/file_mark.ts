import { statSync } from "node:fs";

/**
 * Which file a path leads to, so that it can be told later whether it still does. To be made, and asked, while the file
 * is open: until it is closed its number is not given to another.
 */
export class FileMark {
  readonly #dev: number;
  readonly #ino: number;

  constructor(readonly path: string) {
    ({ dev: this.#dev, ino: this.#ino } = statSync(path));
  }

  /** False once the file was removed, moved or replaced. */
  isThere(): boolean {
    const now = statSync(this.path, { throwIfNoEntry: false });
    return now !== undefined && now.dev === this.#dev && now.ino === this.#ino;
  }
}
