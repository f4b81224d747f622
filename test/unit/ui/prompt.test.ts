import { expect, test } from "bun:test";
import { join } from "node:path";
import { confirm, promptPassphrase } from "../../../lib/ui/prompt.ts";

const prompt = join(import.meta.dir, "../../../lib/ui/prompt.ts");

interface Dialogue {
  shown: string;
  status: number;
}

/** Runs an expression on a terminal and types the next answer each time something new asks for it. */
async function dialogue(
  expression: string,
  answers: [question: string, answer: string][],
): Promise<Dialogue> {
  let shown = "";
  let read = 0;
  const decoder = new TextDecoder();
  const waiting = [...answers];
  const child = Bun.spawn(
    [
      process.execPath,
      "-e",
      `import * as p from ${JSON.stringify(prompt)};
       console.log("answer:", JSON.stringify(await ${expression}.catch((error) => error.message)));
       process.exit(0);`,
    ],
    {
      terminal: {
        cols: 80,
        rows: 24,
        data(terminal, bytes) {
          shown += decoder.decode(bytes, { stream: true });
          const [next] = waiting;
          const at = next === undefined ? -1 : shown.indexOf(next[0], read);
          if (next === undefined || at < 0) return;
          read = at + next[0].length;
          waiting.shift();
          terminal.write(next[1]);
        },
      },
    },
  );
  const status = await child.exited;
  child.terminal?.close();
  expect(waiting).toEqual([]);
  return { shown, status };
}

test("a passphrase is read with its editing and never shown", async () => {
  const ask = `p.promptPassphrase("Passphrase", { interactive: true, twice: false, hint: "" })`;
  const { shown } = await dialogue(ask, [["Passphrase: ", "wrong\x15hx\x7funter 2ü\r"]]);
  expect(shown).toContain('answer: "hunter 2ü"');
  expect(shown.slice(0, shown.indexOf("answer:"))).toBe("Passphrase: \r\n");
});

test("a passphrase to lock with is asked for twice", async () => {
  const ask = `p.promptPassphrase("Passphrase", { interactive: true, twice: true, hint: "" })`;
  const same = await dialogue(ask, [
    ["Passphrase: ", "abc\r"],
    ["once more: ", "abc\r"],
  ]);
  expect(same.shown).toContain('answer: "abc"');
  const other = await dialogue(ask, [
    ["Passphrase: ", "abc\r"],
    ["once more: ", "abd\r"],
  ]);
  expect(other.shown).toContain('answer: "the two passphrases differ"');
});

test("Ctrl-C at a hidden prompt ends the process as it does elsewhere", async () => {
  const ask = `p.promptPassphrase("Passphrase", { interactive: true, twice: false, hint: "" })`;
  const { shown, status } = await dialogue(ask, [["Passphrase: ", "abc\x03"]]);
  expect(status).toBe(130);
  expect(shown).not.toContain("abc");
});

test("only y and yes are a yes", async () => {
  const ask = `p.confirm("Delete it", { interactive: true })`;
  for (const [typed, answer] of [
    ["y\r", true],
    ["YES\r", true],
    ["\r", false],
    ["no\r", false],
    ["yup\r", false],
  ] as const) {
    const { shown } = await dialogue(ask, [["Delete it? [y/N] ", typed]]);
    expect(shown).toContain(`answer: ${answer}`);
  }
});

test("a script is never asked", async () => {
  await expect(confirm("Delete it", { interactive: false }, "? Sure?")).rejects.toMatchObject({
    code: "usage",
    message: "there is no terminal to ask whether to delete it",
    hint: "pass --yes to do it",
  });
  await expect(
    promptPassphrase("Passphrase", { interactive: false, twice: false, hint: "pass --decrypt-key FILE" }),
  ).rejects.toMatchObject({ code: "usage", hint: "pass --decrypt-key FILE" });
});
