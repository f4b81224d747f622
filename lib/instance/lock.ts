import { Database } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import { SplError, systemCode } from "../base/errors.ts";
import { FileMark } from "../base/file_mark.ts";
import type { HomePaths } from "../base/home.ts";

/**
 * The right to run on a home, held by one process at a time. It is SQLite's lock on an otherwise empty file: the
 * kernel frees it with the process, however that ends, so a stale pid is never in the way.
 */
export class HomeLock {
  readonly #db: Database;
  readonly #mark: FileMark;

  private constructor(db: Database, lock: string) {
    this.#db = db;
    this.#mark = new FileMark(lock);
  }

  /** The lock, or null while another process holds it. */
  static tryTake({ lock }: Pick<HomePaths, "lock">): HomeLock | null {
    let db: Database | undefined;
    try {
      createPrivate(lock);
      db = new Database(lock, { create: false, readwrite: true });
      // Without a journal on disk the lock costs no space, so that a full disk keeps nobody from reading.
      db.run("PRAGMA journal_mode = MEMORY");
      db.run("PRAGMA busy_timeout = 0");
      // Not EXCLUSIVE, for which two that try at once can get in the way of each other so that neither has it.
      db.run("BEGIN IMMEDIATE");
      return new HomeLock(db, lock);
    } catch (error) {
      db?.close();
      if (systemCode(error)?.startsWith("SQLITE_BUSY")) return null;
      throw new SplError(
        "file_unreadable",
        `cannot lock ${lock}: ${error instanceof Error ? error.message : error}`,
        {
          hint: "check owner and mode of the instance home",
          cause: error,
        },
      );
    }
  }

  /** False where the home was removed or replaced meanwhile: what is there then belongs to somebody else. */
  isForHome(): boolean {
    return this.#mark.isThere();
  }

  release(): void {
    this.#db.close();
  }
}

/** SQLite would make the file readable to all. One that exists is not touched: to close it would drop its lock. */
function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
  }
}
