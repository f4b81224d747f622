import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Box } from "../kit/box.ts";
import { canMount } from "../kit/tiny_disk.ts";
import { until } from "../kit/until.ts";

/** Debian's cron itself, with nothing but the lines that are printed, in a mount namespace of its own. */

const IN_NAMESPACE = `
mount --bind "$1/cron.d" /etc/cron.d
mount --bind "$1/crontab" /etc/crontab
mount -t tmpfs tmpfs /var/spool/cron
mount -t tmpfs tmpfs /run
exec cron -f`;

test.skipIf(!canMount)(
  "cron backs up and drills, and has nothing to mail; what fails is one line",
  async () => {
    await using box = await Box.serving();
    await box.ok("intend", "outlive the night");
    const folder = box.file("target");
    mkdirSync(folder);
    // What the drill of cron's first minute brings back.
    await box.ok("backup", "--to", folder);
    const lines = (await box.ok("schedule", "print", "cron", "--to", folder)).trimEnd().split("\n").slice(-2);
    expect(lines.map((line) => line.slice(0, 10))).toEqual(["0 3 * * * ", "0 4 * * 0 "]);
    const place = box.file("cron");
    mkdirSync(join(place, "cron.d"), { recursive: true });
    writeFileSync(join(place, "crontab"), "");
    // In files of the system a user's name stands behind the time. Every minute, and what would be mailed goes to a file.
    const failing = lines[1]!.replace(folder, box.file("nowhere"));
    const jobs = { backup: lines[0]!, drill: lines[1]!, failing };
    const said = (job: string) => join(place, `${job}.txt`);
    const table = Object.entries(jobs).map(
      ([job, line]) => `* * * * * root (${line.slice(10)}; echo "status $?") >${said(job)} 2>&1\n`,
    );
    writeFileSync(join(place, "cron.d", "spl"), table.join(""));
    chmodSync(join(place, "cron.d", "spl"), 0o644);
    const daemon = Bun.spawn(["unshare", "-m", "sh", "-ec", IN_NAMESPACE, "sh", place], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    try {
      const heard = await until(
        async () =>
          Object.keys(jobs).map((job) => (existsSync(said(job)) ? readFileSync(said(job), "utf8") : "")),
        (texts) => texts.every((text) => text.includes("status ")),
        100_000,
      );
      expect(heard).toEqual([
        "status 0\n",
        "status 0\n",
        `cannot read ${box.file("nowhere")}: no such file or directory\nstatus 1\n`,
      ]);
    } finally {
      daemon.kill();
      await daemon.exited;
    }
    expect(await box.json<object[]>("backup", "list", "--to", folder)).toMatchObject([
      { verified: "content" },
      { verified: "content" },
    ]);
    const [receipt, ...more] = await box.json<{ source: string; signature: string }[]>("drill", "list");
    expect([receipt!.signature, more]).toEqual(["valid", []]);
    expect(receipt!.source).toStartWith(folder);
  },
  120_000,
);
