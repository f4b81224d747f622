import { constants, Database } from "bun:sqlite";
import { closeSync, openSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { systemClock } from "../base/clock.ts";
import { fileError, SplError, systemCode } from "../base/errors.ts";
import { exists } from "../base/exists.ts";
import { homePaths } from "../base/home.ts";
import { shellWord } from "../base/text.ts";
import { migrate, requireStore, SCHEMA_VERSION } from "./schema.ts";
import { newestSnapshot, takeSnapshot } from "./snapshot.ts";

export interface ConnectionOptions {
  /** Page cache in KiB. */
  cacheKib?: number;
  /** Leave the write-ahead log to an explicit checkpoint: for one large transaction. */
  bulk?: boolean;
  /** Remove the write-ahead log when the last connection closes. Without it, one that was there stays, emptied. */
  ownsLog?: boolean;
  /** Leave a store of an earlier release at its schema: only what every schema has can be read then. */
  keepsSchema?: boolean;
  /** Told when the store was brought to this release's schema, with the copy that was taken before. */
  onMigrated?: (migration: Migration) => void;
}

export interface Migration {
  from: number;
  to: number;
  /** Path of the copy. */
  snapshot: string;
}

const DEFAULT_CACHE_KIB = 16 * 1024;
/**
 * Pages of 4 KiB in the log after which a commit moves them into the store. Ids are random, so that a thousand records
 * touch a thousand pages: with SQLite's own bound every commit of a sync would write them twice.
 */
const CHECKPOINT_PAGES = 4000;
/** How long to wait for a store that cannot be opened at this moment. */
const OPEN_MS = 5000;

/**
 * Opens an existing store. `synchronous = FULL` in WAL mode syncs the log at every commit: what was
 * acknowledged survives a power cut (sqlite.org/wal.html, section 2.3). One of an earlier release is copied, then
 * brought to this release's schema, unless it is to be kept.
 * @throws SplError not_initialized, store_damaged, store_newer, file_unreadable
 */
export function openConnection(path: string, options: ConnectionOptions = {}): Database {
  if (!exists(path)) {
    throw new SplError("not_initialized", `there is no store at ${path}`, {
      hint: "spl init makes a new instance there, spl restore BUNDLE brings one back",
    });
  }
  return storeCall(path, () => {
    // An empty file would open as a new, empty database: a silent loss of everything.
    if (statSync(path).size === 0) throw damaged(path, "the file is empty");
    const db = new Database(path, { readwrite: true, create: false, safeIntegers: false, strict: true });
    try {
      harden(db);
      // Also for a store that is refused: a start of the release that it is of looks for the log of a killed daemon.
      const keepsLog = !options.ownsLog && exists(`${path}-wal`);
      db.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, keepsLog ? 1 : 0);
      // Before the first write: a file that is not ours stays as it is.
      const version = requireStore(db, path);
      configure(db, options);
      if (version < SCHEMA_VERSION && !options.keepsSchema) upgrade(db, path, version, options);
      return db;
    } catch (error) {
      db.close();
      throw withWayBack(error, path);
    }
  });
}

/** Creates the tables in a new file at `path`. The caller moves it to its real name when it is complete. */
export function createConnection(path: string): Database {
  return storeCall(path, () => {
    // SQLite would make it readable to all; its log and index files take over the mode of this one.
    closeSync(openSync(path, "wx", 0o600));
    const db = new Database(path, { readwrite: true, create: false, strict: true });
    harden(db);
    configure(db, {});
    migrate(db);
    return db;
  });
}

function upgrade(db: Database, path: string, version: number, { onMigrated }: ConnectionOptions): void {
  const snapshot = takeSnapshot(db, path, version);
  // Two processes may open it at once: one of them waits for the other.
  db.run(`PRAGMA busy_timeout = ${OPEN_MS}`);
  let migration: Migration | null = null;
  migrate(db, (from) => {
    migration = { from, to: SCHEMA_VERSION, snapshot };
    db.query("INSERT INTO audit (at, event, detail) VALUES (?, 'upgrade', ?)").run(
      systemClock(),
      JSON.stringify(migration),
    );
  });
  db.run("PRAGMA busy_timeout = 0");
  if (migration !== null) onMigrated?.(migration);
}

/** Names the copy that this release can open. The store must be closed: then the log is there only if it is needed. */
function withWayBack(error: unknown, path: string): unknown {
  if (!(error instanceof SplError) || error.code !== "store_newer") return error;
  const snapshot = newestSnapshot(path, SCHEMA_VERSION);
  if (snapshot === null) return error;
  const [home, store] = [dirname(path), basename(path)];
  // What a killed daemon says of itself asks for its log; the newer release will ask for both.
  const daemon = relative(home, homePaths(home).daemon);
  const newer = [store, `${store}-wal`, `${store}-shm`, daemon].filter((name) => exists(join(home, name)));
  return error.retold({
    hint: `upgrade spl; or go back to before the upgrade, without what came later: cd ${shellWord(home)} && mkdir newer && mv ${newer.join(" ")} newer && cp ${basename(snapshot)} ${store}`,
    detail: { snapshot },
  });
}

function harden(db: Database): void {
  // While another process recovers the log or closes as the last one, nobody else can open the store.
  db.run(`PRAGMA busy_timeout = ${OPEN_MS}`);
  db.run("PRAGMA trusted_schema = OFF");
  db.run("PRAGMA cell_size_check = ON");
}

function configure(db: Database, { cacheKib = DEFAULT_CACHE_KIB, bulk = false }: ConnectionOptions): void {
  db.run("PRAGMA journal_mode = WAL");
  db.run("PRAGMA synchronous = FULL");
  db.run("PRAGMA busy_timeout = 0");
  db.run("PRAGMA journal_size_limit = 67108864");
  db.run(`PRAGMA cache_size = -${cacheKib}`);
  db.run(`PRAGMA wal_autocheckpoint = ${bulk ? 0 : CHECKPOINT_PAGES}`);
}

/** What is in the store contradicts itself, or is not what was written. */
export function damaged(path: string, reason: string, cause?: unknown): SplError {
  return new SplError("store_damaged", `the store ${path} is damaged: ${reason}`, {
    hint: "move the home away, then spl restore a bundle",
    cause,
  });
}

/** True when another connection holds the lock that this one needs. */
export function isBusy(error: unknown): boolean {
  return systemCode(error)?.startsWith("SQLITE_BUSY") ?? false;
}

/** Runs `fn` and says what SQLite throws in this project's words. */
export function storeCall<T>(path: string, fn: () => T): T {
  try {
    return fn();
  } catch (error) {
    throw storeError(path, error);
  }
}

export function storeError(path: string, error: unknown): unknown {
  if (error instanceof SplError || isBusy(error)) return error;
  const code = systemCode(error);
  const reason = error instanceof Error ? error.message : String(error);
  // The latter: no room to make the index of the log larger.
  if (code === "SQLITE_FULL" || code === "SQLITE_IOERR_SHMSIZE") {
    return new SplError("disk_full", `cannot write ${path}: no space left on the device`, {
      hint: "free some space and run the same command again; nothing was changed",
      cause: error,
    });
  }
  if (code?.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB") return damaged(path, reason, error);
  if (code?.startsWith("SQLITE_IOERR")) {
    return new SplError("store_damaged", `the store ${path} cannot be read or written: ${reason}`, {
      hint: "check the disk (dmesg, smartctl) before anything else",
      cause: error,
    });
  }
  if (code === "SQLITE_READONLY" || code?.startsWith("SQLITE_READONLY") || code === "SQLITE_CANTOPEN") {
    return new SplError("file_unreadable", `cannot open the store ${path}: ${reason}`, {
      hint: "check owner and mode of the instance home; a copy of it on a disk that can be written works as well",
      cause: error,
    });
  }
  // Of JSON and hexadecimal digits that this store wrote itself.
  if (error instanceof SyntaxError) return damaged(path, "it holds what was never written to it", error);
  return code?.startsWith("SQLITE_") || !code ? error : fileError(error, "open", path);
}
