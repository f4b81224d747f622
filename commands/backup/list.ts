import { type StoredBackup, storedBackups } from "../../lib/backup/stored.ts";
import { isoTime } from "../../lib/base/clock.ts";
import { backupTargetArgs, backupTargets } from "../_backup.ts";
import { defineSpl, printList, runAlone } from "../_kit.ts";

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
    await printList(
      ctx,
      rows,
      [
        { title: "TIME", value: ({ time }) => time.slice(0, 19) },
        { title: "NAME", value: ({ name }) => name },
        { title: "BYTES", value: ({ bytes }) => bytes, align: "right" },
        { title: "RECORDS", value: ({ records }) => records ?? "?", align: "right" },
        { title: "ENCRYPTED", value: ({ encrypted }) => (encrypted ? "yes" : "no") },
        { title: "VERIFIED", value: ({ damage, verified }) => (damage ? "damaged" : (verified ?? "never")) },
        { title: "READ", value: ({ read_at }) => read_at?.slice(0, 19) ?? "never" },
        { title: "IN", value: ({ target }) => target, shrink: true },
      ],
      "no backups; spl backup takes one",
    );
  },
});

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
