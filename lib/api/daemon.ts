import { readFileSync } from "node:fs";

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
