import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Box } from "./box.ts";

export interface Snapshot {
  status: Record<string, unknown>;
  /** As `filesOf` gives them. */
  files: Record<string, string>;
}

/**
 * Everything of a box's instance that must not change when something is refused: what it says of itself, and each
 * file of its home with its content's hash. Left out are the log and SQLite's index of the write-ahead log, which say
 * only what was going on.
 */
export async function snapshot(box: Box): Promise<Snapshot> {
  const { uptime_s: _, ...status } = await box.json("status");
  return { status, files: filesOf(box.home.env.SYNCROPEL_HOME!) };
}

/** Each file below a folder with the hash of its content; `""` for what has none. */
export function filesOf(folder: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (path.endsWith(".log") || path.endsWith("-shm")) continue;
    files[path.slice(folder.length + 1)] = entry.isFile() ? Bun.SHA256.hash(readFileSync(path), "hex") : "";
  }
  return files;
}

/** Every entry below a folder, itself included, with what even a write of the same bytes would change. */
export function tracesOf(folder: string): Record<string, string> {
  const traces: Record<string, string> = {};
  for (const name of ["", ...readdirSync(folder, { recursive: true }).map(String)]) {
    const path = join(folder, name);
    const { mtimeNs, ctimeNs, ino, mode, size } = lstatSync(path, { bigint: true });
    traces[name] = [mtimeNs, ctimeNs, ino, mode, size].join(" ");
  }
  for (const [name, hash] of Object.entries(filesOf(folder))) traces[name] += ` ${hash}`;
  return traces;
}
