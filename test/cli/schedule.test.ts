import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cronText, launchdText, systemdService } from "../../lib/backup/schedule.ts";
import { Box } from "../kit/box.ts";
import { runCommand, runSpl, ScratchHome, splBinary } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** Texts for schedulers, and the service. That cron runs its lines is in `cron.test.ts`. */

const odd = {
  name: "backup",
  command: ["/opt/my tools/spl", "backup", "--to", "/mnt/50% 'off' $HOME"],
  env: { SYNCROPEL_HOME: "/srv/a b" },
  weekday: null,
  hour: 3,
  minute: 0,
};

test("a shell reads the words of cron's line as they were", async () => {
  const line = cronText([odd]).trimEnd().split("\n").at(-1)!;
  expect(line).toStartWith("0 3 * * * SYNCROPEL_HOME='/srv/a b' '/opt/my tools/spl' backup --to ");
  // What cron itself does to the line: unescaped, a percent sign would end it.
  const command = line
    .replace("0 3 * * * ", "")
    .replaceAll("\\%", "%")
    .replace("'/opt/my tools/spl'", "printf '%s\\n'");
  expect(line.replaceAll("\\%", "")).not.toContain("%");
  const { stdout } = await runCommand(["sh", "-c", command], { env: { PATH: process.env.PATH! } });
  expect(stdout.trimEnd().split("\n")).toEqual(odd.command.slice(1));
});

test("words are quoted as systemd and launchd want them", () => {
  expect(systemdService(odd.command, odd.env)).toContain(
    `Environment="SYNCROPEL_HOME=/srv/a b"\nExecStart="/opt/my tools/spl" backup --to "/mnt/50%% 'off' $$HOME"\n`,
  );
  expect(launchdText([{ ...odd, command: ["/a&b", "<c>"] }], "/logs")).toContain(
    "<string>/a&amp;b</string>\n    <string>&lt;c&gt;</string>",
  );
});

test("each scheduler is told the absolute path, both jobs, and nothing changes", async () => {
  using home = new ScratchHome();
  for (const scheduler of ["cron", "systemd", "launchd"]) {
    const { stdout, status } = await runSpl(["schedule", "print", scheduler, "--to", "usb"], { home });
    expect(status).toBe(0);
    for (const word of [
      splBinary(),
      join(home.path, "usb"),
      home.env.SYNCROPEL_HOME!,
      "drill",
      "--keep-daily",
    ])
      expect(stdout).toContain(word);
  }
  // The drill brings back what the backup writes, unless the key of that is elsewhere.
  for (const [flags, drill] of [
    [[], "drill --from latest"],
    [["--to", "/mnt/usb"], "drill --from /mnt/usb"],
    [["--to", "s3://b/p", "--drill-ping", "https://a/c"], "drill --from s3://b/p --ping https://a/c"],
    [["--to", "/mnt/usb", "--encrypt-to", "age1x", "--ping", "https://a/b"], "drill"],
  ] as const) {
    const { stdout } = await runSpl(["schedule", "print", "cron", ...flags], { home });
    expect(stdout.trimEnd().split("\n").at(-1)).toEndWith(` ${splBinary()} ${drill}`);
  }
  expect(existsSync(join(home.path, "config"))).toBe(false);
  expect((await runSpl(["schedule", "print", "at"], { home })).status).toBe(2);
});

test("what is no URL to ping is refused now, and not by each run at night", async () => {
  for (const flag of ["--ping", "--drill-ping"]) {
    const { status, stdout, stderr } = await runSpl(["schedule", "print", "cron", flag, "hc-ping.com/uuid"]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toStartWith(
      `${flag} is no http or https URL without query and fragment; write it like ${flag} `,
    );
  }
});

test("a scheduler works on the instance that was meant here, whatever its own folder and environment", async () => {
  using home = new ScratchHome();
  const cron = async (env: Record<string, string>) => {
    const { stdout } = await runSpl(["schedule", "print", "cron"], { home, env, cwd: home.path });
    return stdout.trimEnd().split("\n").slice(-2);
  };
  for (const line of await cron({ SYNCROPEL_HOME: "my home" }))
    expect(line).toContain(` SYNCROPEL_HOME='${join(home.path, "my home")}' `);
  for (const line of await cron({ SPL_SERVE_URL: "https://box.example.com" }))
    expect(line).toContain(` SPL_SERVE_URL=https://box.example.com `);
  // A service is always this machine's.
  const env = { SYNCROPEL_HOME: "my home", SPL_SERVE_URL: "https://box.example.com", PATH: home.path };
  await runSpl(["service", "install"], { home, env, cwd: home.path });
  const unit = readFileSync(join(home.env.XDG_CONFIG_HOME!, "systemd/user/spl.service"), "utf8");
  expect(unit).toContain(`\nEnvironment="SYNCROPEL_HOME=${join(home.path, "my home")}"\n`);
  expect(unit).not.toContain("SPL_SERVE_URL");
});

test("the service is written, switched on where systemd answers, and removed", async () => {
  using home = new ScratchHome();
  const unit = join(home.env.XDG_CONFIG_HOME!, "systemd/user/spl.service");
  // No systemd answers: it says what to type.
  const typed = await runSpl(["service", "install"], { home, env: { PATH: home.path } });
  expect(typed.stdout).toBe(
    `✓ Written to ${unit}\n  to start it: systemctl --user daemon-reload && systemctl --user enable --now spl.service\n`,
  );
  expect(readFileSync(unit, "utf8")).toContain(`\nExecStart=${splBinary()} serve\n`);
  const log = join(home.path, "log");
  writeFileSync(join(home.path, "systemctl"), `#!/bin/sh\necho "$@" >>${log}\n`);
  chmodSync(join(home.path, "systemctl"), 0o755);
  const env = { PATH: home.path };
  expect((await runSpl(["service", "install"], { home, env })).stdout).toBe(`✓ Written to ${unit}\n`);
  expect((await runSpl(["service", "uninstall"], { home, env })).stdout).toBe(`✓ Removed ${unit}\n`);
  expect(readFileSync(log, "utf8")).toBe(
    "--user daemon-reload\n--user enable --now spl.service\n--user disable --now spl.service\n--user daemon-reload\n",
  );
  expect(await runSpl(["service", "uninstall"], { home, env })).toEqual({
    stdout: "",
    stderr: `there is no service at ${unit}\n`,
    status: 1,
  });
});

test("beside a daemon that was started by hand the service waits: it could only fail to start", async () => {
  await using box = await Box.serving();
  const { home } = box;
  const log = box.file("log");
  const install = async (isActive: boolean) => {
    writeFileSync(
      join(home.path, "systemctl"),
      `#!/bin/sh\necho "$@" >>${log}\n[ "$2" != is-active ] || exit ${isActive ? 0 : 3}\n`,
    );
    chmodSync(join(home.path, "systemctl"), 0o755);
    return (await runSpl(["service", "install"], { home, env: { PATH: home.path } })).stdout;
  };
  expect(await install(false)).toContain(
    "\n  to start it: spl serve --stop && systemctl --user daemon-reload && systemctl --user enable --now spl.service\n",
  );
  expect(readFileSync(log, "utf8")).not.toContain("enable");
  // Its own daemon is in nobody's way.
  expect(await install(true)).not.toContain("to start it");
  expect(readFileSync(log, "utf8")).toContain("enable --now");
});
