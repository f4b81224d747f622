import { chmodSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileError } from "../base/errors.ts";

/** Where everything of one instance lives (spec, section 6). */
export interface HomePaths {
  home: string;
  db: string;
  keys: string;
  run: string;
  /** Unix socket of the daemon. */
  socket: string;
  /** What the running daemon says of itself: pid, url, start. */
  daemon: string;
  /** Held by the running daemon for its whole life. */
  lock: string;
  logs: string;
  log: string;
  /** Settings of this host that never travel: listen address, public URL. */
  config: string;
}

/** `$SYNCROPEL_HOME`, else `~/.syncro`, absolute. */
export function defaultHome(env: Record<string, string | undefined>): string {
  return resolve(env.SYNCROPEL_HOME || join(env.HOME || homedir(), ".syncro"));
}

export function homePaths(home: string): HomePaths {
  const run = join(home, "run");
  const logs = join(home, "logs");
  return {
    home,
    db: join(home, "hub.db"),
    keys: join(home, "keys"),
    run,
    socket: join(run, "spl.sock"),
    daemon: join(run, "daemon.json"),
    lock: join(run, "lock"),
    logs,
    log: join(logs, "spl.log"),
    config: join(home, "config.toml"),
  };
}

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
