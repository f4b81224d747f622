import { expect, test } from "bun:test";
import { join } from "node:path";
import { dispatch } from "../../commands/_dispatch.ts";
import { EXIT_STATUSES, errorLine } from "../../commands/_exit.ts";
import { COMMANDS, everyCommand } from "../../commands/_table.ts";
import { SplError } from "../../lib/base/errors.ts";
import { collectingContext } from "../kit/context.ts";

const commands = [...everyCommand(COMMANDS)];

/** What a command line prints outside any process. */
async function outcome(...argv: string[]): Promise<{ stdout: string; stderr: string }> {
  const ctx = collectingContext(argv);
  try {
    await dispatch(COMMANDS, argv, ctx);
  } catch (error) {
    if (!(error instanceof SplError)) throw error;
    expect(error.code).toBe("usage");
    await ctx.err.line(errorLine(error));
  }
  return { stdout: ctx.out.text, stderr: ctx.err.text };
}

test("every file is in the table under the words of its path", () => {
  const files = [...new Bun.Glob("**/*.ts").scanSync(join(import.meta.dir, "../../commands"))]
    .filter((file) => !file.startsWith("_") && file !== "main.ts")
    .map((file) => file.replace(/\.ts$/, "").replaceAll("/", " "));
  expect(commands.map(({ words }) => words.join(" ")).sort()).toEqual(files.sort());
});

test("every command is named as its file, and its help says what it does, how, and how it ends", async () => {
  for (const { words, load } of commands) {
    const command = (await load()).default;
    expect(command.name).toBe(words.join(" "));
    expect(command.summary).toMatch(/^[A-Z].*[^.]$/);
    for (const def of Object.values(command.flags)) expect(def.description).toBeTruthy();
    const { stdout, stderr } = await outcome(...words, "--help", "--no-such-flag");
    expect(stderr).toBe("");
    expect(stdout).toStartWith(`${command.summary}\n\nUsage: spl ${words.join(" ")}`);
    expect(stdout).toContain("-o, --output text|json|ndjson");
    for (const status of command.exits ?? EXIT_STATUSES) expect(stdout).toContain(status);
    expect(await outcome("help", ...words)).toEqual({ stdout, stderr });
  }
});

test("the overview names every command", async () => {
  const { stdout } = await outcome();
  for (const { words } of commands) {
    const line = stdout.split("\n").find((each) => each.startsWith(`  ${words[0]} `));
    expect(line).toContain(words.at(-1)!);
  }
  expect((await outcome("help")).stdout).toBe(stdout);
  expect((await outcome("--help")).stdout).toBe(stdout);
});

test("a noun alone prints its help on standard error and asks for a verb", async () => {
  const { stdout: help } = await outcome("config", "--help");
  expect(help).toContain("config set ");
  const { stdout, stderr } = await outcome("config");
  expect(stdout).toBe("");
  expect(stderr).toBe(`${help}\n'spl config' needs a verb: path, show, set\n`);
  expect((await outcome("config", "-o", "json")).stderr).toBe("'spl config' needs a verb: path, show, set\n");
});

test("words that name nothing are told with the nearest that does", async () => {
  const cases: [argv: string[], line: string][] = [
    [["verison"], "unknown command 'verison'; did you mean 'spl version'?"],
    [["frobnicate"], "unknown command 'frobnicate'; see 'spl --help'"],
    [["constructor"], "unknown command 'constructor'; see 'spl --help'"],
    [["__proto__"], "unknown command '__proto__'; see 'spl --help'"],
    [["config", "shwo"], "unknown verb 'shwo' for 'spl config'; did you mean 'spl config show'?"],
    [["config", "toString"], "unknown verb 'toString' for 'spl config'; see 'spl config --help'"],
    [["help", "verison"], "unknown command 'verison'; did you mean 'spl version'?"],
    [["help", "version", "now"], "unexpected argument 'now' for 'spl help'; type 'spl help version'"],
    [["help", "config", "set", "x"], "unexpected argument 'x' for 'spl help'; type 'spl help config set'"],
    [["-v", "version"], "unknown flag -v for 'spl'; flags go behind the command, as in 'spl status -o json'"],
  ];
  for (const [argv, line] of cases)
    expect(await outcome(...argv)).toEqual({ stdout: "", stderr: `${line}\n` });
});
