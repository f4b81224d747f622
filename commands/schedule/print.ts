import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Ping } from "../../lib/backup/ping.ts";
import { cronText, launchdText, type ScheduledJob, systemdText } from "../../lib/backup/schedule.ts";
import { selfCommand } from "../../lib/base/runtime.ts";
import { backupTargetArgs } from "../_backup.ts";
import { encryptArgs } from "../_bundle_file.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";
import { placesEnv } from "../_service.ts";

const command = defineSpl({
  name: "schedule print",
  summary: "Print what makes cron, systemd or launchd back up each night and drill each week",
  description:
    "Changes nothing. The drill brings back the newest backup; the live instance, where backups are encrypted to a key that\nis not here. Secrets do not belong there: put those of S3 into the scheduler's own environment.",
  args: {
    scheduler: {
      type: "positional",
      options: ["cron", "systemd", "launchd"],
      description: "cron, systemd or launchd",
    },
    ...backupTargetArgs,
    encryptTo: encryptArgs.encryptTo,
    ping: { type: "string", valueHint: "URL", description: "where the backup tells how it went" },
    drillPing: { type: "string", valueHint: "URL", description: "the same for the drill" },
  },
  examples: ["spl schedule print cron", "spl schedule print systemd --to /mnt/usb --encrypt-to age1…"],
  run: async (ctx, { scheduler, to, encryptTo, ping, drillPing }) => {
    for (const [name, url] of [
      ["--ping", ping],
      ["--drill-ping", drillPing],
    ] as const)
      if (url !== undefined) new Ping(url, name);
    const flag = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value]);
    const place = to === undefined || to.includes("://") ? to : resolve(ctx.cwd, to);
    const keep = ["--keep-daily", "7", "--keep-weekly", "5", "--keep-monthly", "12"];
    const flags = [...flag("--to", place), ...flag("--encrypt-to", encryptTo), ...flag("--ping", ping)];
    const source = encryptTo === undefined ? ["--from", place ?? "latest"] : [];
    const url = ctx.env.SPL_SERVE_URL;
    const env = { ...placesEnv(ctx), ...(url ? { SPL_SERVE_URL: url } : {}) };
    const jobs: ScheduledJob[] = [
      {
        name: "backup",
        command: [...selfCommand(), "backup", ...flags, ...keep],
        env,
        weekday: null,
        hour: 3,
        minute: 0,
      },
      {
        name: "drill",
        command: [...selfCommand(), "drill", ...source, ...flag("--ping", drillPing)],
        env,
        weekday: 0,
        hour: 4,
        minute: 0,
      },
    ];
    const logs = join(ctx.env.HOME ?? homedir(), "Library", "Logs");
    const text =
      scheduler === "cron"
        ? cronText(jobs)
        : scheduler === "systemd"
          ? systemdText(jobs)
          : launchdText(jobs, logs);
    await printResult(ctx, { scheduler, text }, () => text);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
