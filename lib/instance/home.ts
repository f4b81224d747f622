import { chmodSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileError } from "../base/errors.ts";
import type { HomePaths } from "../base/home.ts";

/**
 * Makes the folders of a home, open to their owner only: file permissions are the sign-in of the socket.
 * @throws SplError file_unreadable, disk_full
 */
export function makeHome({ home, keys, run, logs }: HomePaths): void {
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

/** Removes what a killed process left in `run/`. Only for the holder of the home's lock. */
export function clearLeftovers({ run }: HomePaths): void {
  for (const name of readdirSync(run)) {
    if (name.startsWith(SPOOL_PREFIX) || name.startsWith(INIT_PREFIX))
      rmSync(join(run, name), { force: true });
  }
}
