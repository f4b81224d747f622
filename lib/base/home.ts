import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

/** Where everything of one instance lives (spec, section 6). */
export interface HomePaths {
  home: string;
  db: string;
  keys: string;
  run: string;
  /** Unix socket of the daemon. */
  socket: string;
  /** What the running daemon says of itself: `DaemonInfo` in `lib/api/daemon.ts`. */
  daemon: string;
  /** Held by the running daemon for its whole life. */
  lock: string;
  /** Signed requests that a daemon which has stopped would not let in twice. */
  nonces: string;
  /** What the daemon heard of the clocks of others: `ClockOffset` in `lib/instance/clock_offsets.ts`. */
  clocks: string;
  logs: string;
  log: string;
  /** Settings of this host that never travel: listen address, public URL. */
  config: string;
}

/** `$SYNCROPEL_HOME`, else `~/.syncro`, absolute. */
export function defaultHome(env: Record<string, string | undefined>): string {
  return resolve(env.SYNCROPEL_HOME || join(env.HOME || homedir(), ".syncro"));
}

/** Home of a hosting service: `$SPL_HOST_HOME`, else `~/.syncro-host`, absolute. */
export function hostHome(env: Record<string, string | undefined>): string {
  return resolve(env.SPL_HOST_HOME || join(env.HOME || homedir(), ".syncro-host"));
}

/** `$XDG_DATA_HOME/syncropel`, else `~/.local/share/…`. A relative XDG path is ignored, as its standard asks. */
export function dataFolder(env: Record<string, string | undefined>): string {
  const xdg = env.XDG_DATA_HOME;
  const base = xdg !== undefined && isAbsolute(xdg) ? xdg : join(env.HOME || homedir(), ".local", "share");
  return join(base, "syncropel");
}

/** Where copies are kept of what rollbacks remove: outside every home. */
export function rollbackCopies(env: Record<string, string | undefined>): string {
  return join(dataFolder(env), "rollbacks");
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
    nonces: join(run, "nonces.json"),
    clocks: join(run, "clocks.json"),
    logs,
    log: join(logs, "spl.log"),
    config: join(home, "config.toml"),
  };
}
