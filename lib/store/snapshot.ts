import type { Database } from "bun:sqlite";
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { syncDirectory } from "../base/atomic_file.ts";
import { toHex } from "../base/bytes.ts";
import { exists } from "../base/exists.ts";
import { systemRandom } from "../base/random.ts";

/**
 * Copies of a store from before its schema changed, beside it: `hub.db.v<schema>-<time>.bak`, mode 0600. They are what
 * an older release can open. Nothing removes them.
 */

/** The name of a copy that is not complete yet: one that `clearTemporaries` removes. */
function unfinished(path: string): string {
  return join(dirname(path), `.${basename(path)}.${toHex(systemRandom(6))}.tmp`);
}

/** Writes a copy of the store as it is to `target`, where it appears whole or not at all. */
export function copyStore(db: Database, target: string): void {
  const temporary = unfinished(target);
  // SQLite would make it readable to all; it fills a file that is empty.
  const fd = openSync(temporary, "wx", 0o600);
  try {
    db.query("VACUUM INTO ?").run(temporary);
    fsyncSync(fd);
    renameSync(temporary, target);
    syncDirectory(dirname(target));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

/**
 * Copies the store before its schema changes.
 * @param schema of the store now
 * @returns the copy's path
 */
export function takeSnapshot(db: Database, path: string, schema: number): string {
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  let target = `${path}.v${schema}-${stamp}.bak`;
  for (let n = 2; exists(target); n++) target = `${path}.v${schema}-${stamp}-${n}.bak`;
  copyStore(db, target);
  return target;
}

/** The path of the newest copy whose schema is at most `schema`; null where there is none. */
export function newestSnapshot(path: string, schema: number): string | null {
  const prefix = `${basename(path)}.v`;
  const known = readdirSync(dirname(path))
    .flatMap((name) => {
      const [, version, stamp] = /^(\d+)-(\d{8}T\d{6}Z(?:-\d+)?)\.bak$/.exec(name.slice(prefix.length)) ?? [];
      const isOne = name.startsWith(prefix) && version !== undefined && Number(version) <= schema;
      return isOne ? [{ name, stamp: stamp! }] : [];
    })
    .sort((a, b) => (a.stamp < b.stamp ? -1 : 1));
  const newest = known.at(-1);
  return newest ? join(dirname(path), newest.name) : null;
}
