import { expect, test } from "bun:test";
import { join } from "node:path";
import { makeStyle } from "../../../lib/ui/terminal.ts";

const terminal = join(import.meta.dir, "../../../lib/ui/terminal.ts");

/** What a process says whose three streams are a terminal of 72 columns. */
async function inTerminal(expression: string, env: Record<string, string> = {}): Promise<string> {
  let shown = "";
  const decoder = new TextDecoder();
  const child = Bun.spawn(
    [
      process.execPath,
      "-e",
      `import * as t from ${JSON.stringify(terminal)}; console.log(String(${expression}))`,
    ],
    {
      env: { PATH: process.env.PATH ?? "", TERM: "xterm", ...env },
      terminal: {
        cols: 72,
        rows: 24,
        data(_, bytes) {
          shown += decoder.decode(bytes, { stream: true });
        },
      },
    },
  );
  await child.exited;
  child.terminal?.close();
  return shown.trim();
}

test("colour only where the stream is a terminal and nobody asked for none", async () => {
  const asked = "t.wantsColour(1, process.env)";
  expect(await inTerminal(asked)).toBe("true");
  expect(await inTerminal(asked, { NO_COLOR: "1" })).toBe("false");
  expect(await inTerminal(asked, { NO_COLOR: "" })).toBe("true");
  expect(await inTerminal(asked, { TERM: "dumb" })).toBe("false");
  const piped = Bun.spawnSync([
    process.execPath,
    "-e",
    `import * as t from ${JSON.stringify(terminal)}; console.log(t.wantsColour(1, {}), t.terminalWidth(), t.isTerminal(0))`,
  ]);
  expect(piped.stdout.toString()).toBe("false null false\n");
});

test("a terminal has a width", async () => {
  expect(await inTerminal("t.terminalWidth()")).toBe("72");
});

test("without colour a style adds nothing", () => {
  expect(makeStyle(false).red("x")).toBe("x");
  expect(makeStyle(true).red("x")).toBe("\x1b[31mx\x1b[39m");
});
