import { inSubset, parseSubset } from "../../lib/backup/names.ts";
import { type CheckResult, checkBackup, storedBackups } from "../../lib/backup/stored.ts";
import { SplError } from "../../lib/base/errors.ts";
import { compareAscii, counted, shellWord } from "../../lib/base/text.ts";
import { isTerminal } from "../../lib/ui/terminal.ts";
import { backupKey, backupKeyArgs, backupTargetArgs, backupTargets } from "../_backup.ts";
import { type ArgValues, defineSpl, printList, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "backup verify",
  summary: "Read backups whole, where they lie, and say which are damaged",
  description:
    "Needs no instance. All are read, also behind a damaged one; then status 6. --subset 1/7 takes every seventh in the\norder of their names, so that seven runs read all. Without the key encrypted ones are compared by their SHA-256.\nSays nothing when all is well, unless on a terminal or with -o json.",
  args: {
    subset: { type: "string", valueHint: "N/T", description: "only the N-th of T parts" },
    ...backupTargetArgs,
    ...backupKeyArgs,
  },
  examples: ["spl backup verify", "spl backup verify --subset 1/7 --to /mnt/usb --decrypt-key key.txt"],
  run: async (ctx, { subset, ...args }) => {
    const part = subset === undefined ? { part: 1, total: 1 } : parseSubset(subset);
    const key = await backupKey(ctx, args);
    const stored = (await Promise.all((await backupTargets(ctx, args)).map(storedBackups))).flat();
    if (stored.length === 0) {
      throw new SplError("not_found", "there is no backup to verify", {
        hint: `take one: ${backupLine(args)}`,
      });
    }
    const chosen = inSubset(
      stored.sort((a, b) => compareAscii(a.name, b.name)),
      part,
    );
    const results: CheckResult[] = [];
    for (const backup of chosen.reverse()) {
      ctx.progress.update(`reading ${backup.name}`);
      results.push(await checkBackup(ctx.env, backup, key, ctx.clock));
    }
    await ctx.progress.clear();
    const bad = results.filter(({ result }) => result !== "sound");
    if (ctx.output !== "text" || isTerminal(1)) {
      await printList(
        ctx,
        results,
        [
          { title: "NAME", value: ({ name }) => name },
          { title: "RESULT", value: ({ result, verified }) => (verified ? `verified: ${verified}` : result) },
          { title: "RECORDS", value: ({ records }) => records ?? "", align: "right" },
          { title: "DETAIL", value: ({ detail }) => detail ?? "", shrink: true },
        ],
        `none of ${counted(stored.length, "backup")} is in this part`,
      );
    }
    if (bad.length > 0) throw verdict(bad, results.length, backupLine(args));
  },
});

/** What takes a backup to the same place. */
function backupLine({ to }: ArgValues<typeof backupTargetArgs>): string {
  return to === undefined ? "spl backup" : `spl backup --to ${shellWord(to)}`;
}

function verdict(bad: readonly CheckResult[], read: number, backup: string): SplError {
  const damaged = bad.filter(({ result }) => result === "damaged");
  const told = damaged.length > 0 ? damaged : bad;
  const { result } = told[0]!;
  const named = told.map(({ name, detail }) => `${name} (${detail})`).join(", ");
  const message = `${told.length} of ${counted(read, "backup")} ${result}: ${named}`;
  if (result === "damaged") {
    return new SplError("verification_failed", message, {
      hint: `take a new one: ${backup}; then remove what is damaged`,
    });
  }
  return result === "locked"
    ? new SplError("bundle_locked", message, { hint: "pass --decrypt-key FILE or --passphrase-file FILE" })
    : new SplError("file_unreadable", message);
}

export default command;
if (import.meta.main) await runAlone(command);
