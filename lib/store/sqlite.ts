import type { Database } from "bun:sqlite";
import { linkSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { syncDirectory } from "../base/atomic_file.ts";
import { fileError, SplError, systemCode } from "../base/errors.ts";
import { FileMark } from "../base/file_mark.ts";
import {
  type ConnectionOptions,
  createConnection,
  isBusy,
  openConnection,
  storeCall,
  storeError,
} from "./connection.ts";
import { SqliteReader } from "./reader.ts";
import { requireStore } from "./schema.ts";
import { copyStore } from "./snapshot.ts";
import type { Reader, Store, Writer } from "./types.ts";
import { SqliteWriter } from "./writer.ts";

/** How long a writer waits for another process before it gives up. */
const BUSY_MS = 30_000;
const RETRY_MS = 5;
/** Idle reading connections that are kept open. */
const KEPT_READERS = 4;

/**
 * The store on one SQLite file: one writing connection behind a queue, and reading connections that each
 * belong to one `read` at a time, so that a snapshot stays a snapshot across awaits.
 */
export class SqliteStore implements Store {
  readonly #path: string;
  readonly #options: ConnectionOptions;
  readonly #writer: Database;
  readonly #mark: FileMark;
  readonly #idle: Database[] = [];
  #queue: Promise<unknown> = Promise.resolve();
  readonly #reading = new Set<Promise<unknown>>();
  #closed = false;

  private constructor(path: string, options: ConnectionOptions) {
    this.#path = path;
    this.#options = options;
    this.#writer = openConnection(path, options);
    this.#mark = new FileMark(path);
  }

  /** @throws SplError not_initialized, store_damaged, store_newer, file_unreadable */
  static open(path: string, options: ConnectionOptions = {}): SqliteStore {
    return new SqliteStore(path, options);
  }

  /**
   * Creates a store with what `fill` writes into it. It appears under `path` whole or not at all, and only
   * one of two that try at once succeeds.
   * @param unfinished a free name on the same file system; stays there when this fails or is killed
   * @throws SplError conflict when `path` exists
   */
  static async create(
    path: string,
    unfinished: string,
    fill: (writer: Writer) => Promise<void>,
  ): Promise<void> {
    const db = createConnection(unfinished);
    try {
      db.run("BEGIN IMMEDIATE");
      await fill(new SqliteWriter(db, unfinished));
      db.run("COMMIT");
      db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (error) {
      throw storeError(unfinished, error);
    } finally {
      db.close();
    }
    try {
      linkSync(unfinished, path);
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw fileError(error, "create", path);
      rmSync(unfinished);
      throw new SplError("conflict", `there is a store at ${path} already`);
    }
    syncDirectory(dirname(path));
    rmSync(unfinished);
  }

  read<T>(fn: (reader: Reader) => Promise<T> | T): Promise<T> {
    const running = this.#read(fn);
    this.#reading.add(running);
    const done = () => this.#reading.delete(running);
    running.then(done, done);
    return running;
  }

  async #read<T>(fn: (reader: Reader) => Promise<T> | T): Promise<T> {
    this.#assertOpen();
    const db = this.#idle.pop() ?? openConnection(this.#path, this.#options);
    try {
      storeCall(this.#path, () => db.run("BEGIN"));
      try {
        return await fn(new SqliteReader(db, this.#path));
      } finally {
        db.run("COMMIT");
      }
    } catch (error) {
      throw storeError(this.#path, error);
    } finally {
      if (this.#idle.length < KEPT_READERS && !this.#closed) this.#idle.push(db);
      else db.close();
    }
  }

  transact<T>(fn: (writer: Writer) => Promise<T> | T): Promise<T> {
    this.#assertOpen();
    const turn = this.#queue.then(() => this.#transact(fn));
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  async #transact<T>(fn: (writer: Writer) => Promise<T> | T): Promise<T> {
    const db = this.#writer;
    try {
      await this.#begin(db);
      try {
        this.#assertThere();
        const result = await fn(new SqliteWriter(db, this.#path));
        db.run("COMMIT");
        return result;
      } catch (error) {
        if (db.inTransaction) db.run("ROLLBACK");
        throw error;
      }
    } catch (error) {
      throw storeError(this.#path, error);
    }
  }

  /** Takes the write lock without blocking the event loop while another connection holds it. */
  async #begin(db: Database): Promise<void> {
    const deadline = performance.now() + BUSY_MS;
    for (;;) {
      try {
        db.run("BEGIN IMMEDIATE");
        return;
      } catch (error) {
        if (!isBusy(error)) throw error;
        if (performance.now() > deadline) {
          throw new SplError("store_busy", "another process has been writing to the store for 30 seconds", {
            hint: "wait for it to end (an import, or spl doctor --rebuild) and try again",
            cause: error,
          });
        }
        await Bun.sleep(RETRY_MS);
      }
    }
  }

  /**
   * Moves the write-ahead log into the store file. After a bulk transaction.
   */
  async checkpoint(): Promise<void> {
    storeCall(this.#path, () => this.#writer.run("PRAGMA wal_checkpoint(PASSIVE)"));
  }

  /** Writes a copy of the store's file as it was committed last, damaged records included, to `path`. */
  copyTo(path: string): void {
    const db = openConnection(this.#path, this.#options);
    try {
      storeCall(this.#path, () => copyStore(db, path));
    } finally {
      db.close();
    }
  }

  /** The schema of the file, which is an earlier one only where it was to be kept. */
  get schema(): number {
    return storeCall(this.#path, () => requireStore(this.#writer, this.#path));
  }

  /** SQLite's own check of the file's structure and of every index. Empty when all is well. */
  async integrityCheck(): Promise<string[]> {
    return storeCall(this.#path, () =>
      (this.#writer.query("PRAGMA integrity_check(20)").all() as { integrity_check: string }[])
        .map((row) => row.integrity_check)
        .filter((line) => line !== "ok"),
    );
  }

  /** Waits for what is running, then closes every connection. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#queue;
    await Promise.allSettled(this.#reading);
    for (const db of this.#idle.splice(0)) db.close();
    this.#writer.close();
  }

  /** What is written to a file without a name is lost with the process, whatever was acknowledged. */
  #assertThere(): void {
    if (this.#mark.isThere()) return;
    throw new SplError(
      "store_damaged",
      `the store ${this.#path} was removed or replaced while it was in use`,
      {
        hint: `end this process (kill ${process.pid}); spl restore makes a home from a bundle`,
      },
    );
  }

  #assertOpen(): void {
    if (this.#closed) throw new SplError("internal", "the store is closed");
  }
}
