import { type StoredBackup, storedBackups } from "../../lib/backup/stored.ts";
import { isoTime } from "../../lib/base/clock.ts";
import type { Column } from "../../lib/ui/table.ts";
import { backupTargetArgs, backupTargets } from "../_backup.ts";
import { defineSpl, printGroups, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "backup list",
  summary: "List backups, and when each was last read",
  description:
    "Needs no instance. Without --to it lists every folder that this machine backs up to by default.",
  args: backupTargetArgs,
  examples: ["spl backup list", "spl backup list --to s3://backups/laptop -o json"],
  run: async (ctx, args) => {
    const rows = [];
    for (const target of await backupTargets(ctx, args)) {
      for (const backup of await storedBackups(target)) rows.push(row(backup));
    }
    await printGroups(ctx, rows, ({ target }) => target, COLUMNS, "no backups; spl backup takes one");
  },
});

type Row = ReturnType<typeof row>;

/** The place stands above, and the time and the encryption are in the name: it can be typed as it stands here. */
const COLUMNS: readonly Column<Row>[] = [
  { title: "NAME", value: ({ name }) => name },
  { title: "SIZE", value: ({ bytes }) => size(bytes), align: "right" },
  { title: "RECORDS", value: ({ records }) => records ?? "?", align: "right" },
  { title: "VERIFIED", value: ({ damage, verified }) => (damage ? "damaged" : (verified ?? "never")) },
  { title: "READ", value: ({ read_at }) => read_at?.slice(0, 10) ?? "never" },
];

/** As `ls -h` tells it, in four columns. */
function size(bytes: number): string {
  let [n, unit] = [bytes, 0];
  for (; n >= 999.5; unit++) n /= 1000;
  return `${unit > 0 && n < 9.95 ? n.toFixed(1) : Math.round(n)}${["", "k", "M", "G", "T"][unit]}`;
}

function row({ time, name, bytes, encrypted, target, entry, did }: StoredBackup) {
  return {
    time: isoTime(time),
    name,
    target: target.url,
    did,
    bytes,
    records: entry?.records ?? null,
    bundle_sha256: entry?.bundle_sha256 ?? null,
    sha256: entry?.sha256 ?? null,
    encrypted,
    verified: entry?.verified ?? null,
    read_at: entry?.read_at ?? null,
    damage: entry?.damage ?? null,
  };
}

export default command;
if (import.meta.main) await runAlone(command);
