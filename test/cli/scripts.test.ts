import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT_STATUSES } from "../../commands/_exit.ts";
import { strictArgv } from "../../commands/_strict.ts";
import { COMMANDS, everyCommand } from "../../commands/_table.ts";
import { Box } from "../kit/box.ts";
import { type RunResult, runCommand, runSpl, ScratchHome } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** Each command as a verb of the program and as a script of its own; and that no message names a command there is not. */

const root = join(import.meta.dir, "../..");
const commands = [...everyCommand(COMMANDS)].map(({ words }) => words);
const scripts = new Map<string, string>();
beforeAll(() => {
  for (const file of new Bun.Glob("**/[a-z]*.ts").scanSync(join(root, "commands"))) {
    if (file !== "main.ts")
      scripts.set(file.replace(/\.ts$/, "").replaceAll("/", " "), join(root, "commands", file));
  }
});

/** Runs the file of a command under Bun, from another folder than the project's. */
function script(box: Box, words: string, ...args: string[]): Promise<RunResult> {
  return runCommand([process.execPath, scripts.get(words)!, ...args], {
    cwd: box.home.path,
    env: box.home.env,
  });
}

test("help is a result: on standard output, status 0, with every exit status, and the same for the script", async () => {
  await using box = new Box();
  expect([...scripts.keys()].sort()).toEqual(commands.map((words) => words.join(" ")).sort());
  for (const words of commands) {
    const help = await box.spl([...words, "--help"]);
    expect({ stderr: help.stderr, status: help.status }).toEqual({ stderr: "", status: 0 });
    expect(help.stdout).toContain(`\nUsage: spl ${words.join(" ")}`);
    expect(help.stdout).toEndWith(`\nExit status: ${EXIT_STATUSES.join(", ")}\n`);
    expect(
      Math.max(
        ...help.stdout
          .split("\n")
          .slice(0, -2)
          .map((line) => line.length),
      ),
    ).toBeLessThan(130);
    expect(await script(box, words.join(" "), "-h")).toEqual(help);
  }
});

test("every example in the help is a command line that the program understands", async () => {
  using home = new ScratchHome();
  const log = join(home.path, "typed");
  // A shell reads the example, with `spl` as a function that only says what it was given.
  const shell = `spl() { printf '%s\\0' "$@" >>"${log}"; echo >>"${log}"; }\n`;
  for (const { words, load } of everyCommand(COMMANDS)) {
    const command = (await load()).default;
    expect(command.examples.length).toBeGreaterThan(0);
    for (const example of command.examples) {
      writeFileSync(log, "");
      const line = example.replaceAll("<record id>", "0".repeat(64)).replaceAll("…", "x");
      Bun.spawnSync(["bash", "-c", shell + line], { cwd: home.path, env: { PATH: "" }, stdin: "ignore" });
      const [first, ...more] = readFileSync(log, "utf8").trimEnd().split("\n");
      const argv = first!.split("\0").slice(0, -1);
      expect({ example, more, words: argv.slice(0, words.length) }).toEqual({ example, more: [], words });
      expect(strictArgv(command.name, command.flags, argv.slice(words.length))).toContain("--");
    }
  }
});

test("scripts do the whole job: write, export, import, compare", async () => {
  await using source = new Box();
  await using host = new Box();
  const ok = async (box: Box, words: string, ...args: string[]) => {
    const { stdout, stderr, status } = await script(box, words, ...args);
    expect({ words, stderr: status === 0 ? "" : stderr, status }).toEqual({ words, stderr: "", status: 0 });
    return stdout;
  };
  try {
    expect(await ok(source, "start", "--port", "0", "--isolated")).toStartWith(
      "✓ serving did:sync:instance:local-",
    );
    await ok(host, "serve", "--daemon", "--port", "0", "--isolated");
    await ok(source, "intend", "run as a script", "--thread", "th_a");
    await ok(source, "know", "it does", "--thread", "th_a");
    await ok(source, "export", "--out", "x.tar");
    expect(await ok(host, "import", source.file("x.tar"))).toEndWith("✓ Import complete\n");
    await ok(host, "export", "--out", "y.tar.zst");
    expect(await ok(host, "diff", source.file("x.tar"), "y.tar.zst")).toBe(
      "✓ equal: 2 records on both sides\n",
    );
    expect(await ok(host, "thread records", "th_a")).toBe(await ok(source, "thread records", "th_a"));
    expect(await script(host, "record show", "0f")).toMatchObject({ stdout: "", status: 1 });
    expect(await script(host, "verify", "--deep")).toEqual({
      stdout: "",
      stderr: "FILE is missing; see 'spl verify --help'\n",
      status: 2,
    });
  } finally {
    for (const box of [source, host]) await box.spl(["stop"]);
  }
});

test("messages, hints and documents name only commands that exist", () => {
  const verbs = Map.groupBy(commands, ([word]) => word!);
  /** Words that follow the program's name in a sentence. */
  const prose = new Set(["is", "itself", "alone", "would", "for", "help"]);
  const unknown: string[] = [];
  const files = ["commands", "lib", "server"].flatMap((room) =>
    [...new Bun.Glob("**/*.ts").scanSync(join(root, room))].map((file) => join(room, file)),
  );
  for (const file of [...files, "README.md"]) {
    const text = readFileSync(join(root, file), "utf8").replaceAll(/^\s*(?:\/?\*|\/\/).*$/gm, "");
    for (const [typed, word, verb] of text.matchAll(/\bspl (?=([a-z][a-z-]*)(?: ([a-z][a-z-]*))?)/g)) {
      if (word === "spl" || prose.has(word!)) continue;
      const known = verbs.get(word!);
      const takesVerb = known?.every((words) => words.length === 2);
      if (!known || (takesVerb && verb && !known.some((words) => words[1] === verb)))
        unknown.push(`${file}: ${typed}${word} ${verb ?? ""}`);
    }
  }
  expect(unknown).toEqual([]);
});

test("help on words that name nothing", async () => {
  expect(await runSpl(["help", "exprot"])).toEqual({
    stdout: "",
    stderr: "unknown command 'exprot'; did you mean 'spl export'?\n",
    status: 2,
  });
});
