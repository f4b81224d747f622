import { Database } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import { fileError, SplError, systemCode } from "../../lib/base/errors.ts";
import { exists } from "../../lib/base/exists.ts";
import type { HostingDatabase, Query, SqlValue } from "../../lib/hosting/database.ts";

/** The hosting database as a file, by Bun's SQLite. */
export class SqliteDatabase implements HostingDatabase {
  readonly #db: Database;

  /** @throws SplError file_unreadable, store_damaged, disk_full */
  constructor(path: string) {
    try {
      // SQLite would make it readable to all.
      if (!exists(path)) closeSync(openSync(path, "wx", 0o600));
    } catch (error) {
      throw fileError(error, "write", path);
    }
    this.#db = new Database(path, { create: false, readwrite: true, strict: true });
    this.#tried(() => {
      this.#db.run("PRAGMA journal_mode = WAL");
      this.#db.run("PRAGMA synchronous = FULL");
    });
  }

  async all<T>(sql: string, ...params: SqlValue[]): Promise<T[]> {
    return this.#tried(() => this.#db.query<T, SqlValue[]>(sql).all(...params));
  }

  async run(sql: string, ...params: SqlValue[]): Promise<number> {
    return this.#tried(() => this.#db.query(sql).run(...params).changes);
  }

  async batch(queries: readonly Query[]): Promise<number[]> {
    const all = this.#db.transaction(() =>
      queries.map(({ sql, params }) => this.#db.query(sql).run(...params).changes),
    );
    return this.#tried(() => all.immediate());
  }

  close(): void {
    this.#db.close();
  }

  #tried<T>(task: () => T): T {
    try {
      return task();
    } catch (error) {
      const code = systemCode(error) ?? "";
      if (code === "SQLITE_FULL") {
        throw new SplError("disk_full", "no space is left for the hosting database", {
          hint: "whoever runs the service has to free some on the disk of its home, then try again",
          cause: error,
        });
      }
      if (code === "SQLITE_CORRUPT" || code === "SQLITE_NOTADB") {
        throw new SplError("store_damaged", "the hosting database is damaged", {
          hint: "put host.db back from a copy; the instances' own homes are beside it, whole",
          cause: error,
        });
      }
      throw error;
    }
  }
}
