import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { clearTemporaries } from "../base/atomic_file.ts";
import { fileError, SplError } from "../base/errors.ts";
import { exists } from "../base/exists.ts";
import type { HomePaths } from "../base/home.ts";

/** `sun_path` of a Unix socket address without its NUL (unix(7)). */
const MAX_SOCKET_PATH = 107;

/**
 * Makes the folders of a home, open to their owner only: file permissions are the sign-in of the socket.
 * @throws SplError usage for a home whose socket's path would be too long, file_unreadable, disk_full
 */
export function makeHome({ home, keys, run, logs, socket }: HomePaths): void {
  const length = Buffer.byteLength(socket);
  if (length > MAX_SOCKET_PATH) {
    throw new SplError(
      "usage",
      `the socket path ${socket} has ${length} bytes, the system allows ${MAX_SOCKET_PATH}`,
      { hint: "set SYNCROPEL_HOME to a shorter path" },
    );
  }
  for (const folder of [home, keys, run, logs]) {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      chmodSync(folder, 0o700);
    } catch (error) {
      throw fileError(error, "make the folder", folder);
    }
  }
}

/** First bytes of a write-ahead log, but for the last bit (sqlite.org/fileformat2.html, section 4.1). */
const LOG_MAGIC = 0x377f0682;

/**
 * SQLite takes a store without its write-ahead log for one that was closed in order, and forgets what the log held.
 * `daemon.json` says otherwise: it is there from the start of a daemon to its orderly end.
 * @throws SplError store_damaged when the log is missing, or is none
 */
export function requireLog({ daemon, db }: HomePaths): void {
  if (!exists(db) || !exists(daemon)) return;
  const log = `${db}-wal`;
  if (exists(log)) {
    const head = readHead(log);
    // Empty, or extended but not written when the power went: nothing had been acknowledged yet.
    if (head.every((byte) => byte === 0) || (head.readUInt32BE() & ~1) === LOG_MAGIC) return;
  }
  throw new SplError(
    "store_damaged",
    `the log ${log}, which the newest records are in, is missing or damaged`,
    {
      hint: `put it back from where it went; to go on without these records, remove ${daemon}`,
    },
  );
}

function readHead(path: string): Buffer {
  const head = Buffer.alloc(4);
  try {
    const fd = openSync(path, "r");
    try {
      readSync(fd, head);
    } finally {
      closeSync(fd);
    }
    return head;
  } catch (error) {
    throw fileError(error, "read", path);
  }
}

/** Prefix of files under `run/` that only live as long as the import that made them. */
export const SPOOL_PREFIX = "import-";
/** Prefix of a store under `run/` that is not finished yet. */
export const INIT_PREFIX = "init-";

/** Whether a store was begun here that never got its name. */
export function holdsUnfinished({ run }: Pick<HomePaths, "run">): boolean {
  return readdirSync(run).some((name) => name.startsWith(INIT_PREFIX));
}

/**
 * What is wrong with a home whose store is gone while its key is there; null for any other home. Nothing new is made over
 * that key, which may be its last copy.
 */
export function lostStore({ db, keys, run }: HomePaths): SplError | null {
  // The key of a store that never got its name has signed nothing.
  if (exists(db) || (exists(run) && holdsUnfinished({ run }))) return null;
  if (!exists(keys) || !readdirSync(keys).some((file) => file.endsWith(".key"))) return null;
  return new SplError("not_initialized", `${keys} holds a key, but the store ${db} is missing`, {
    hint: "restore hub.db from a copy, or move the home away, then spl restore FILE",
  });
}

/** Removes what a killed process left half done. Only for the holder of the home's lock. */
export function clearLeftovers({ home, run, keys }: HomePaths): void {
  for (const folder of [home, run, keys]) clearTemporaries(folder);
  for (const name of readdirSync(run)) {
    if (name.startsWith(SPOOL_PREFIX) || name.startsWith(INIT_PREFIX))
      rmSync(join(run, name), { force: true });
  }
}
