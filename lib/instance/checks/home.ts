import { statfsSync, statSync } from "node:fs";
import { shellWord } from "../../base/text.ts";
import { type HomeCheck, pass, warn } from "./result.ts";

export const permissions: HomeCheck = {
  name: "permissions",
  run({ home, keys, db }) {
    const open = [home, keys, db].filter((path) => (statSync(path).mode & 0o077) !== 0);
    if (open.length === 0) return pass("home, keys and store are private");
    return warn(`others may read ${open.join(", ")}`, `chmod go-rwx ${open.map(shellWord).join(" ")}`);
  },
};

/** An import, a snapshot or a backup on the same disk takes as much as the store, and the store has to grow as well. */
export const disk: HomeCheck = {
  name: "disk",
  run({ home, db }) {
    const { bavail, bsize } = statfsSync(home);
    const free = bavail * bsize;
    const store = statSync(db).size + (statSync(`${db}-wal`, { throwIfNoEntry: false })?.size ?? 0);
    const facts = `${mebibytes(free)} free, the store takes ${mebibytes(store)}`;
    return free >= 2 * store
      ? pass(facts)
      : warn(
          facts,
          `make room for twice the store; du -xh ${shellWord(home)} | sort -h | tail shows what is large here`,
        );
  },
};

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
