import { beforeAll, expect, test } from "bun:test";
import { bashCompletion, type Completable, fishCompletion, zshCompletion } from "../../lib/ui/completion.ts";
import { runSpl, splBinary } from "../kit/spl.ts";

let script: string;
beforeAll(async () => {
  script = (await runSpl(["completion", "bash"])).stdout;
});

/** What bash offers behind `words`, split as readline splits them; the last one is being typed. */
function offered(completion: string, ...words: string[]): string[] {
  const shell = Bun.spawnSync(
    [
      "bash",
      "-c",
      `set -eu; source /dev/stdin; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _spl || true; printf '%s\\n' "\${COMPREPLY[@]}"`,
      "bash",
      "spl",
      ...words,
    ],
    { stdin: Buffer.from(completion), env: { PATH: process.env.PATH ?? "" } },
  );
  expect(shell.stderr.toString()).toBe("");
  return shell.stdout
    .toString()
    .split("\n")
    .filter((line) => line !== "");
}

test("bash completes commands, verbs, flags, values and arguments", () => {
  expect(offered(script, "ver")).toEqual(expect.arrayContaining(["version"]));
  expect(offered(script, "")).toEqual(expect.arrayContaining(["config", "completion", "version", "help"]));
  expect(offered(script, "config", "")).toEqual(["path", "show", "set"]);
  expect(offered(script, "config", "s")).toEqual(["show", "set"]);
  expect(offered(script, "config", "set", "--")).toEqual(["--unset", "--output", "--help"]);
  expect(offered(script, "config", "set", "")).toEqual(["default_url"]);
  expect(offered(script, "config", "show", "-o", "")).toEqual(["text", "json", "ndjson"]);
  expect(offered(script, "version", "--output", "=")).toEqual(["text", "json", "ndjson"]);
  expect(offered(script, "version", "--output", "=", "j")).toEqual(["json"]);
  expect(offered(script, "completion", "z")).toEqual(["zsh"]);
  expect(offered(script, "nothing", "")).toEqual([]);
});

test("bash knows the script's function by the name it is loaded for", () => {
  const shell = Bun.spawnSync([
    "bash",
    "-c",
    `source <("$1" completion bash) && complete -p spl`,
    "bash",
    splBinary(),
  ]);
  expect(shell.stdout.toString()).toBe("complete -o bashdefault -o default -F _spl spl\n");
});

const tricky: Completable = {
  nouns: [{ word: "thread", summary: "It's [one]: a thread" }],
  commands: [
    {
      words: ["thread", "list"],
      summary: "List the user's threads",
      operands: [],
      flags: [
        { names: ["--out"], summary: "where: [a file] isn't read", values: [] },
        { names: ["-o", "--output"], summary: "form", values: ["text", "json"] },
        { names: ["--no-identity"], summary: "leave it out", values: null },
      ],
    },
    { words: ["completion"], summary: "Script", operands: ["bash", "zsh"], flags: [] },
  ],
};

test("a flag that takes any value leaves bash to complete files", () => {
  const completion = bashCompletion(tricky);
  expect(offered(completion, "thread", "list", "--out", "")).toEqual([]);
  expect(offered(completion, "thread", "list", "--n")).toEqual(["--no-identity"]);
});

test("zsh and fish get descriptions, quoted for their shells", () => {
  const zsh = zshCompletion(tricky);
  expect(zsh).toStartWith("#compdef spl\n");
  expect(zsh).toContain(`'thread:It'\\''s [one]\\: a thread'`);
  expect(zsh).toContain(`'--out=[where\\: \\[a file\\] isn'\\''t read]:value:_files'`);
  expect(zsh).toContain(`'(-o --output)'{-o,--output=}'[form]:value:(text json)'`);
  expect(zsh).toContain("'--no-identity[leave it out]'");
  const fish = fishCompletion(tricky).trimEnd().split("\n").slice(1);
  expect(fish).toContain(
    `complete -c spl -n "__fish_use_subcommand" -f -a thread -d 'It\\'s [one]: a thread'`,
  );
  expect(fish).toContain(
    `complete -c spl -n "__fish_seen_subcommand_from thread; and __fish_seen_subcommand_from list" -s o -l output -x -a "text json" -d 'form'`,
  );
  expect(fish.every((line) => line.startsWith("complete -c spl "))).toBe(true);
});
