import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Box } from "../kit/box.ts";

setDefaultTimeout(30_000);

/** What a person writes, with the compiled binary. */

const ALICE = "did:sync:user:alice";
const HEX = /^[0-9a-f]{64}$/;

interface Emitted {
  id: string;
  thread: string;
  clock: number;
  deduplicated: boolean;
}

interface Shown {
  id: string;
  record: Record<string, unknown> & { body: Record<string, unknown> };
}

let box: Box;
beforeAll(async () => {
  box = await Box.serving();
  box.home.env.USER = "alice";
});
afterAll(() => box[Symbol.asyncDispose]());

const show = (id: string) => box.json<Shown>("record", "show", id);
const done = (id: string, thread: string, clock: number, act: string) =>
  `✓ ${act} ${id}\n  thread: ${thread}\n  clock:  ${clock}\n`;

describe("one record", () => {
  test("a goal opens a thread, and what fulfills it closes it", async () => {
    const { stdout, stderr, status } = await box.spl(["intend", "move to the new disk"]);
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    const [, id, thread] = /^✓ INTEND (\w{64})\n {2}thread: (th_[0-9a-f]{64})\n {2}clock: {2}0\n$/.exec(
      stdout,
    )!;
    const state = async () => (await box.json<{ state: string }>("thread", "show", thread!)).state;
    expect(await state()).toBe("open");
    const step = await box.json<Emitted>("do", "copied /srv", "--thread", thread!);
    expect(step).toEqual({ id: expect.stringMatching(HEX), thread: thread!, clock: 1, deduplicated: false });
    const closed = await box.spl(["know", "all files match", "--thread", thread!, "--fulfills", id!]);
    const closing = /KNOW (\w+)/.exec(closed.stdout)![1]!;
    expect(closed).toEqual({ stdout: done(closing, thread!, 2, "KNOW"), stderr: "", status: 0 });
    expect(await state()).toBe("done");
    const { record } = await show(closing);
    expect(record).toMatchObject({ act: "KNOW", actor: ALICE, parents: [step.id], clock: 2, thread });
    expect(record.body).toMatchObject({ text: "all files match", fulfills: id });
  });

  test("thread, actor and body are as they were typed; `at` is when", async () => {
    const began = Date.now();
    const body = `{"n":1.50,"list":[true,null],"text":"lost to TEXT"}`;
    const args = ["learn", "rsync needs -H", "--thread", "th_own", "--actor", "did:sync:user:bob"];
    const { id } = await box.json<Emitted>(...args, "--body", body);
    const { record } = await show(id);
    expect(record).toMatchObject({ act: "LEARN", actor: "did:sync:user:bob", thread: "th_own", clock: 0 });
    const { at, ...rest } = record.body;
    expect(rest).toEqual({ n: 1.5, list: [true, null], text: "rsync needs -H" });
    expect(at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Date.parse(at as string)).toBeWithin(began - 1, Date.now() + 1);
    const dated = await box.json<Emitted>("do", "--thread", "th_own", "--body", `{"at":"yesterday"}`);
    expect((await show(dated.id)).record.body).toEqual({ at: "yesterday" });
  });

  test("a namespace that comes too late is told of", async () => {
    const body = ["--body", '{"namespace":"private"}'];
    const first = await box.spl(["intend", "x", "--thread", "th_private", ...body]);
    expect(first).toMatchObject({ stderr: "", status: 0 });
    expect(await box.ok("thread", "show", "th_private")).toContain("namespace:  private");
    await box.ok("intend", "x", "--thread", "th_shared");
    const { stderr, status } = await box.spl(["know", "y", "--thread", "th_shared", ...body]);
    expect([status, stderr]).toEqual([
      0,
      "th_shared was open already: a namespace counts in the record only that opens a thread; spl thread show th_shared tells its own\n",
    ]);
    expect(await box.ok("thread", "show", "th_shared")).toContain("namespace:  default");
  });

  test("text that a shell or a parser might take for more is text", async () => {
    const texts = [
      "$(touch stolen)",
      "`id`; rm -rf ~",
      "first\nsecond\ttab",
      "--force",
      "-",
      'it\'s "so" \\',
      "é 漢 😀",
    ];
    for (const text of texts) {
      const { id } = JSON.parse(
        await box.ok("do", "--thread", "th_odd", "-o", "json", "--", text),
      ) as Emitted;
      expect((await show(id)).record.body.text).toBe(text);
    }
    expect(await Bun.file(box.file("stolen")).exists()).toBe(false);
  });

  const refused: [args: string[], line: string, status: number][] = [
    [["intend"], "there is nothing to say; give a text, or --body JSON", 2],
    [["do", ""], "TEXT is empty; see 'spl do --help'", 2],
    [["do", "one", "two"], "unexpected argument 'two' for 'spl do'; see 'spl do --help'", 2],
    [["do", "--force"], "unknown flag --force for 'spl do'; see 'spl do --help'", 2],
    [["do", "x", "--body", "[1]"], `--body is no JSON object; write it like --body '{"key":"value"}'`, 2],
    [
      ["do", "x", "--body", `{"a":1,"a":2}`],
      `--body: invalid JSON: duplicate key at byte 7; write it like --body '{"key":"value"}'`,
      2,
    ],
    [["do", "x", "--thread", "disk"], "thread must be th_ and then 1 to 128 of A-Z a-z 0-9 _ -", 1],
    [["do", "x", "--actor", "alice"], "actor must be a DID of at most 256 bytes", 1],
    [
      ["know", "x", "--thread", "th_own", "--fulfills", "0f"],
      "--fulfills 0f is no record's id; it is 64 hex digits, as spl intend printed them",
      2,
    ],
    [["record", "show", "0f"], "there is no record 0f; spl thread list shows what there is", 1],
    [["record", "show"], "ID is missing; see 'spl record show --help'", 2],
    [["thread", "show", "th_none"], "there is no thread th_none; spl thread list shows what there is", 1],
    [["thread", "records", "$(id)"], "there is no thread $(id); spl thread list shows what there is", 1],
    [["thread", "records", "../../x"], "there is no thread ../../x; spl thread list shows what there is", 1],
  ];
  test("what is wrong is refused in one line, and nothing is written", async () => {
    const { records } = await box.json("status");
    for (const [args, line, status] of refused) {
      expect(await box.spl(args)).toEqual({ stdout: "", stderr: `${line}\n`, status });
    }
    expect((await box.json("status")).records).toBe(records);
  });
});

describe("many records", () => {
  const line = (thread: string, n: number) => `${JSON.stringify({ thread, act: "DO", body: { n } })}\n`;
  const lines = (thread: string, count: number) =>
    Array.from({ length: count }, (_, n) => line(thread, n)).join("");

  test("from a file, from standard input, with an actor for lines that name none", async () => {
    await Bun.write(box.file("three.ndjson"), lines("th_bulk", 3));
    expect(await box.spl(["emit", "three.ndjson"])).toEqual({
      stdout: "✓ 3 records emitted\n",
      stderr: "",
      status: 0,
    });
    for (const file of [[], ["-"]]) {
      const { stdout } = await box.spl(
        ["emit", ...file, "--actor", "did:sync:user:ci", "-o", "json"],
        line("th_bulk", 9),
      );
      expect(JSON.parse(stdout)).toEqual({ emitted: 1, deduplicated: 0 });
    }
    expect(await box.spl(["emit"], "")).toEqual({ stdout: "✓ 0 records emitted\n", stderr: "", status: 0 });
    const records = await box.json<Shown[]>("thread", "records", "th_bulk");
    expect(records.map(({ record }) => [record.clock, record.actor, record.body.n])).toEqual([
      [0, ALICE, 0],
      [1, ALICE, 1],
      [2, ALICE, 2],
      [3, "did:sync:user:ci", 9],
      [4, "did:sync:user:ci", 9],
    ]);
  });

  test("a line that was stored before is told apart", async () => {
    const again = { thread: "th_again", act: "DO", body: {}, clock: 0, parents: [] };
    const text = `${JSON.stringify(again)}\n`;
    expect((await box.spl(["emit"], text)).stdout).toBe("✓ 1 record emitted\n");
    expect((await box.spl(["emit"], text)).stdout).toBe("✓ 1 record emitted, 1 of them known before\n");
  });

  test("a bad line is named by its number, with what was stored", async () => {
    const bad: [line: string, message: string][] = [
      ["nonsense", "invalid JSON: expected a value at byte 0"],
      ["{}", "thread is missing"],
      [`{"thread":"th_x","act":"DESTROY","body":{}}`, "act must be one of"],
      [`{"thread":"th_x","act":"DO","body":{},"bdoy":1}`, 'unknown field "bdoy"'],
      [`{"thread":"th_x","act":"DO","body":{"n":1e400}}`, "invalid JSON"],
      [`{"thread":"th_x","act":"DO","body":{"n":1,"n":2}}`, "invalid JSON: duplicate key"],
      [`{"thread":"th_x","act":"DO","body":{"s":"\\ud800"}}`, "invalid JSON"],
      [
        `{"thread":"th_x","act":"DO","body":${'{"a":'.repeat(70)}1${"}".repeat(70)}}`,
        "invalid JSON: more than 66 nested levels",
      ],
    ];
    for (const [text, message] of bad) {
      const { stdout, stderr, status } = await box.spl(
        ["emit"],
        `${line("th_bad", 1)}\n${text}\n${line("th_bad", 2)}`,
      );
      expect({ stdout, status }).toEqual({ stdout: "", status: 1 });
      expect(stderr).toStartWith(`line 3: ${message}`);
      expect(stderr).toEndWith("; nothing was stored\n");
      expect(stderr.split("\n").length).toBe(2);
    }
    expect((await box.spl(["thread", "show", "th_bad"])).status).toBe(1);
    const long = await box.spl(["emit", "-o", "json"], `${lines("th_bad", 2500)}{\n`);
    expect(long.status).toBe(1);
    expect(JSON.parse(long.stderr)).toMatchObject({
      code: "invalid_json",
      line: 2501,
      committed: 2000,
      hint: "lines 1 to 2000 are stored; send the rest again",
    });
    expect(await box.json("thread", "show", "th_bad")).toMatchObject({ records: 2000 });
  });

  test("a file that cannot be read", async () => {
    const cannot = (path: string, why: string) => ({
      stdout: "",
      stderr: `cannot read ${path}: ${why}\n`,
      status: 1,
    });
    expect(await box.spl(["emit", "none.ndjson"])).toEqual(
      cannot(box.file("none.ndjson"), "no such file or directory"),
    );
    expect(await box.spl(["emit", "."])).toEqual(cannot(box.home.path, "it is a directory; name a file"));
  });

  test("of a million bytes in one body, and of bodies that only JCS keeps apart", async () => {
    const bodies = [
      { text: "x".repeat(1_000_000) },
      { "10": 1, "9": 2, __proto__x: 3 },
      { "": [], é: "e\u0301" },
    ];
    const text = bodies
      .map((body) => `${JSON.stringify({ thread: "th_bodies", act: "PUT", body })}\n`)
      .join("");
    expect((await box.spl(["emit"], text)).status).toBe(0);
    const kept = await box.json<Shown[]>("thread", "records", "th_bodies");
    expect(kept.map(({ record }) => record.body)).toEqual(bodies);
    const large = JSON.stringify({ thread: "th_bodies", act: "PUT", body: { text: "x".repeat(1_048_577) } });
    expect((await box.spl(["emit"], large)).status).toBe(1);
  });
});
