import { chmodSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { clearTemporaries } from "../base/atomic_file.ts";
import { fileError, SplError } from "../base/errors.ts";
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

/** Prefix of files under `run/` that only live as long as the import that made them. */
export const SPOOL_PREFIX = "import-";
/** Prefix of a store under `run/` that is not finished yet. */
export const INIT_PREFIX = "init-";

/** Whether a store was begun here that never got its name. */
export function holdsUnfinished({ run }: HomePaths): boolean {
  return readdirSync(run).some((name) => name.startsWith(INIT_PREFIX));
}

/** Removes what a killed process left half done. Only for the holder of the home's lock. */
export function clearLeftovers({ run, keys }: HomePaths): void {
  for (const folder of [run, keys]) clearTemporaries(folder);
  for (const name of readdirSync(run)) {
    if (name.startsWith(SPOOL_PREFIX) || name.startsWith(INIT_PREFIX))
      rmSync(join(run, name), { force: true });
  }
}
