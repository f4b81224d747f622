import { statfsSync, statSync } from "node:fs";
import { exists } from "../../base/exists.ts";
import { shellWord } from "../../base/text.ts";
import { fail, type HomeCheck, pass, type Result, warn } from "./result.ts";

/** With less than this a commit may find no room: writing is refused. */
const LEAST_FREE = 1024 * 1024;

export const permissions: HomeCheck = {
  name: "permissions",
  run({ home, keys, db }) {
    if (!exists(home)) return noHome(home);
    const found = [home, keys, db].filter(exists);
    const open = found.filter((path) => (statSync(path).mode & 0o077) !== 0);
    if (open.length === 0) {
      return pass(found.length === 3 ? "home, keys and store are private" : "what is there is private");
    }
    return warn(`others may read ${open.join(", ")}`, `chmod go-rwx ${open.map(shellWord).join(" ")}`);
  },
};

/** An import, a snapshot or a backup on the same disk takes as much as the store, and the store has to grow as well. */
export const disk: HomeCheck = {
  name: "disk",
  run({ home, db }) {
    if (!exists(home)) return noHome(home);
    const { bavail, bsize } = statfsSync(home);
    const free = bavail * bsize;
    const store = [db, `${db}-wal`].filter(exists).reduce((sum, path) => sum + statSync(path).size, 0);
    const facts = `${mebibytes(free)} free, the store takes ${mebibytes(store)}`;
    const fix = `make room for twice the store; du -xh ${shellWord(home)} | sort -h | tail shows what is large here`;
    if (free < LEAST_FREE) return fail(`${facts}: writing is refused`, fix);
    return free >= 2 * store ? pass(facts) : warn(facts, fix);
  },
};

function noHome(home: string): Result {
  return fail(`there is no home at ${home}`, "set SYNCROPEL_HOME to where it is, or do as the row open says");
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
