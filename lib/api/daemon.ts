import { readFileSync } from "node:fs";
import { systemCode } from "../base/errors.ts";

/** What a running daemon writes to `run/daemon.json` once it listens. */
export interface DaemonInfo {
  pid: number;
  /** Public URL, else the bound address. */
  url: string;
  /** Bound TCP port. */
  port: number;
  /** Unix milliseconds. */
  started_at: number;
}

/** Where a daemon listens unless it is told otherwise. */
export const DEFAULT_LISTEN: { host: string; port: number } = { host: "127.0.0.1", port: 9100 };

/**
 * What the daemon of a home said of itself, or null. The file outlives a killed daemon: that it is there does
 * not say that one runs.
 */
export function readDaemonInfo(path: string): DaemonInfo | null {
  try {
    const info = JSON.parse(readFileSync(path, "utf8")) as Partial<DaemonInfo>;
    return typeof info.pid === "number" && typeof info.url === "string" && typeof info.port === "number"
      ? (info as DaemonInfo)
      : null;
  } catch {
    return null;
  }
}

/** The same of a process that is alive; null for what a killed one left behind. */
export function readLivingDaemon(path: string): DaemonInfo | null {
  const info = readDaemonInfo(path);
  try {
    if (info) process.kill(info.pid, 0);
    return info;
  } catch (error) {
    return systemCode(error) === "ESRCH" ? null : info;
  }
}
