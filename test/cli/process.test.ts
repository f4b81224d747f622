import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { EXIT_STATUS } from "../../commands/_exit.ts";
import { VERSION } from "../../lib/base/version.ts";
import { type RunResult, runCommand, runSpl, ScratchHome, splBinary } from "../kit/spl.ts";

const root = join(import.meta.dir, "../..");
const probe = [process.execPath, join(root, "test/kit/probe.ts")];

function run(command: string[], env: Record<string, string> = {}): Promise<RunResult> {
  return runCommand(command, { env: { PATH: process.env.PATH ?? "", ...env } });
}

/** Runs a line of bash in which `$1` is a command. */
function bash(line: string, command: string): Promise<RunResult> {
  return run(["bash", "-c", line, "bash", command]);
}

describe("version", () => {
  test("is told in every spelling", async () => {
    const told = { stdout: `spl ${VERSION}\n`, stderr: "", status: 0 };
    for (const args of [
      ["--version"],
      ["-V"],
      ["version"],
      ["version", "-o", "text"],
      ["--version", "-o", "text"],
    ]) {
      expect(await runSpl(args)).toEqual(told);
    }
    const { stdout } = await runSpl(["version", "-o", "json"]);
    expect(JSON.parse(stdout)).toMatchObject({ version: VERSION, bundle_version: 1 });
  });

  test("is told by the file as its own program", async () => {
    expect(await run([process.execPath, join(root, "commands/version.ts")])).toEqual({
      stdout: `spl ${VERSION}\n`,
      stderr: "",
      status: 0,
    });
  });

  test.skipIf(process.platform !== "linux")("that cannot be written is an error", async () => {
    expect(await bash(`"$1" --version >/dev/full`, splBinary())).toEqual({
      stdout: "",
      stderr:
        "cannot write to standard output: no space left on the device; free some space and run the same command again; nothing was changed\n",
      status: 1,
    });
  });
});

describe("the end of a process", () => {
  test("delivers everything into a slow pipe", async () => {
    const { stdout, status } = await run([
      "bash",
      "-c",
      `"$@" | { read -r first; cat; }; exit "\${PIPESTATUS[0]}"`,
      "bash",
      ...probe,
      "big",
    ]);
    const lines = stdout.trimEnd().split("\n");
    expect([lines.length, lines[0], lines.at(-1), status]).toEqual([199_999, "line 1", "line 199999", 0]);
  });

  test("is quiet when the reader has seen enough", async () => {
    const line = `set -o pipefail; "$@" | head -n 1`;
    expect(await run(["bash", "-c", line, "bash", ...probe, "big"])).toEqual({
      stdout: "line 0\n",
      stderr: "",
      status: 0,
    });
    expect(
      await bash(`set -o pipefail; "$1" completion bash | head -n 1 | wc -l`, splBinary()),
    ).toMatchObject({
      stderr: "",
      status: 0,
    });
  });

  test("tells an error behind what was already found out", async () => {
    expect(await run([...probe, "partial"])).toEqual({
      stdout: "found so far\n",
      stderr: "1 check failed\n",
      status: EXIT_STATUS.checks_failed,
    });
  });

  test("tells an error in one line, whatever is in it", async () => {
    expect(await run([...probe, "hinted"])).toEqual({
      stdout: "",
      stderr:
        "import refused: local store has 12 records; pass --force-overwrite\\nto import anyway \\x1b[2J\n",
      status: 5,
    });
  });

  test("tells machines a problem document in one line", async () => {
    for (const flags of [["-o", "json"], ["-ojson"], ["--output=ndjson"]]) {
      const { stdout, stderr, status } = await run([...probe, "hinted", ...flags]);
      expect({ stdout, status }).toEqual({ stdout: "", status: 5 });
      expect(stderr.split("\n").length).toBe(2);
      expect(JSON.parse(stderr)).toEqual({
        type: "urn:syncropel:problem:store_not_empty",
        title: "Store not empty",
        status: 409,
        code: "store_not_empty",
        detail: "import refused: local store has 12 records",
        hint: "pass --force-overwrite\nto import anyway \x1b[2J",
        records: 12,
      });
    }
    const usage = await run([...probe, "--nope", "-o", "json"]);
    expect(JSON.parse(usage.stderr)).toMatchObject({
      code: "usage",
      detail: "unknown flag --nope for 'spl probe'",
    });
    expect(usage.status).toBe(2);
  });

  test("shows where a crash was only to who asks", async () => {
    const quiet = await run([...probe, "crash"]);
    expect(quiet).toEqual({
      stdout: "",
      stderr: "internal error: x is not a function; run it again with SPL_DEBUG=1 to see where\n",
      status: 1,
    });
    const { stderr } = await run([...probe, "crash"], { SPL_DEBUG: "1" });
    expect(stderr).toStartWith(quiet.stderr);
    expect(stderr).toContain("probe.ts:");
  });

  test("hears of failures that nobody awaits", async () => {
    expect(await run([...probe, "stray"])).toEqual({
      stdout: "",
      stderr: "internal error: nobody awaits this; run it again with SPL_DEBUG=1 to see where\n",
      status: 1,
    });
  });

  test("needs no standard error", async () => {
    expect(await bash(`exec 2>&-; "$1" nope`, splBinary())).toEqual({ stdout: "", stderr: "", status: 2 });
  });
});

/** Starts the probe, sends a signal for each line it prints, and returns how it ended. */
async function signalled(
  way: string,
  signals: NodeJS.Signals[],
): Promise<{ stderr: string; status: number | null; signal: unknown }> {
  const child = Bun.spawn([...probe, way], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const waiting = [...signals];
  for await (const _ of child.stdout) child.kill(waiting.shift());
  await child.exited;
  expect(waiting).toEqual([]);
  return { stderr: await child.stderr.text(), status: child.exitCode, signal: child.signalCode };
}

describe("a signal", () => {
  test("lets a command that listens clean up; the status is that of the signal", async () => {
    expect(await signalled("wait", ["SIGINT"])).toEqual({
      stderr: "cleaned up\n",
      status: 130,
      signal: null,
    });
    expect(await signalled("wait", ["SIGTERM"])).toEqual({
      stderr: "cleaned up\n",
      status: 143,
      signal: null,
    });
  });

  test("ends a command that does not listen at once", async () => {
    expect(await signalled("deaf", ["SIGINT"])).toMatchObject({ stderr: "", signal: "SIGINT" });
  });

  test("ends any command when it comes twice", async () => {
    expect(await signalled("stubborn", ["SIGINT", "SIGINT"])).toMatchObject({ stderr: "", signal: "SIGINT" });
  });
});

describe("the compiled program", () => {
  test("obeys nothing that lies in the folder it is started in", async () => {
    using home = new ScratchHome();
    await Bun.write(join(home.path, ".env"), "XDG_CONFIG_HOME=/stolen\n");
    await Bun.write(join(home.path, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
    await Bun.write(join(home.path, "evil.ts"), 'console.log("preloaded")\n');
    delete home.env.XDG_CONFIG_HOME;
    const { stdout } = await runSpl(["config", "path"], { home });
    expect(stdout).toBe(join(home.path, ".config/syncropel/config.toml\n"));
  });
});
