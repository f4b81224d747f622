import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Box } from "../kit/box.ts";
import { runSpl, splBinary } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** What a person reads back: threads, records, actors, live and into a pipe, with the compiled binary. */

const ALICE = "did:sync:user:alice";
const HEX = /^[0-9a-f]{64}$/;

type Row = Record<string, unknown>;

let box: Box;
beforeAll(async () => {
  box = await Box.serving();
  box.home.env.USER = "alice";
});
afterAll(() => box[Symbol.asyncDispose]());

describe("what is there", () => {
  test("threads", async () => {
    await box.ok("intend", "see it listed", "--thread", "th_listed");
    const { stdout, stderr } = await box.spl(["thread", "list"]);
    expect(stderr).toBe("");
    const [head, ...rows] = stdout.trimEnd().split("\n");
    expect(head).toMatch(/^THREAD +STATE +RECORDS +CLOCK +GOAL$/);
    expect(rows.find((row) => row.startsWith("th_listed "))).toMatch(
      /^th_listed +open +1 +0 +see it listed$/,
    );
    expect(rows).toEqual(rows.toSorted());
    const [thread] = (await box.json<Row[]>("thread", "list")).filter((row) => row.thread === "th_listed");
    expect(thread).toEqual({
      thread: "th_listed",
      namespace: "default",
      goal: "see it listed",
      state: "open",
      records: 1,
      forks: 0,
      clock: 0,
      digest: expect.stringMatching(HEX),
    });
    const shown = await box.ok("thread", "show", "th_listed");
    expect(shown).toMatch(
      /^th_listed\n {2}state: +open\n {2}goal: +see it listed\n {2}namespace: +default\n {2}records: +1\n {2}clock: +0\n {2}digest: +\w{64}\n {2}head: +\w{64}\n$/,
    );
  });

  test("a record", async () => {
    const { id } = await box.json<{ id: string }>(
      "do",
      "look at me",
      "--thread",
      "th_shown",
      "--body",
      `{"at":"now"}`,
    );
    const { signer, sig, ...rest } = await box.json<Row & { signer: string; sig: string }>(
      "record",
      "show",
      id,
    );
    expect(rest).toEqual({
      id,
      record: {
        act: "DO",
        actor: ALICE,
        body: { at: "now", text: "look at me" },
        clock: 0,
        data_type: "SCALAR",
        judged_by: null,
        parents: [],
        thread: "th_shown",
      },
    });
    expect(await box.ok("record", "show", id)).toBe(`${id}
  thread:     th_shown
  actor:      ${ALICE}
  act:        DO
  clock:      0
  data_type:  SCALAR
  judged_by:  -
  signer:     ${signer}
  sig:        ${sig}
  body:
    {
      "at": "now",
      "text": "look at me"
    }
`);
  });

  test("actors, registered or not", async () => {
    const carol = "did:sync:user:carol";
    const { stdout } = await box.spl(["actor", "register", carol, "--name", "Carol C."]);
    expect(stdout).toMatch(new RegExp(`^✓ ${carol} is registered \\(record \\w{64}\\)\\n$`));
    const actors = await box.json<Row[]>("actor", "list");
    expect(actors).toContainEqual({ actor: carol, name: "Carol C.", records: 0, registered: true });
    expect(await box.ok("actor", "list")).toMatch(
      /^ACTOR +NAME +RECORDS +REGISTERED\n(.*\n)*did:sync:user:carol +Carol C\. +0 +yes\n/,
    );
    expect(await box.spl(["actor", "register", "carol"])).toMatchObject({ stdout: "", status: 2 });
  });

  test("into a pipe, records are canonical and say nothing of the host; -f follows live", async () => {
    for (const body of [`{"10":1,"9":{"b":1e3,"a":"\\u00e9\\u001b\\u202e"}}`, "{}"]) {
      await box.ok("do", "--thread", "th_live", "--body", body);
    }
    const child = Bun.spawn([splBinary(), "thread", "records", "-f", "th_live"], {
      env: box.home.env,
      stdout: "pipe",
      stderr: "pipe",
    });
    const reader = child.stdout.getReader();
    let followed = "";
    const until = async (records: number) => {
      while (followed.split("\n").length <= records)
        followed += new TextDecoder().decode((await reader.read()).value);
    };
    await until(2);
    await box.ok("know", "came later", "--thread", "th_live");
    await box.ok("do", "elsewhere", "--thread", "th_else");
    await box.ok("know", "came last", "--thread", "th_live");
    await until(4);
    const canonical = await box.ok("thread", "records", "th_live");
    expect(followed).toBe(canonical);
    expect(canonical).toContain(`"9":{"a":"é\\u001b\u202e","b":1000}`);
    for (const text of canonical.trimEnd().split("\n")) {
      expect(Object.keys(JSON.parse(text))).toEqual(["id", "record", "sig", "signer"]);
    }
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await child.stderr.text()).toBe("");
    expect(await box.json<unknown[]>("thread", "records", "th_live")).toHaveLength(4);
    expect(await box.ok("thread", "records", "th_live", "-o", "ndjson")).toBe(canonical);
  });

  test("a reader that has seen enough ends a listing quietly; a full device does not", async () => {
    const line = (n: number) =>
      `{"thread":"th_long","act":"DO","body":{"n":${n},"text":"${"x".repeat(500)}"}}`;
    await box.spl(["emit"], Array.from({ length: 2000 }, (_, n) => line(n)).join("\n"));
    const bash = (command: string) => {
      const child = Bun.spawnSync(["bash", "-o", "pipefail", "-c", `"$SPL" ${command}`], {
        env: { ...box.home.env, SPL: splBinary() },
      });
      return {
        lines: child.stdout.toString().split("\n").length - 1,
        stderr: child.stderr.toString(),
        status: child.exitCode,
      };
    };
    for (const output of ["text", "json", "ndjson"]) {
      expect(bash(`thread records th_long -o ${output} | head -n 1`)).toEqual({
        lines: 1,
        stderr: "",
        status: 0,
      });
    }
    expect(bash("thread records -f th_long | head -n 1")).toEqual({ lines: 1, stderr: "", status: 0 });
    const full =
      "cannot write to standard output: no space left on the device; free some space and run the same command again; nothing was changed\n";
    for (const command of ["thread records th_long", "thread list", "status"]) {
      expect(bash(`${command} >/dev/full`)).toEqual({ lines: 0, stderr: full, status: 1 });
    }
  });

  test("nothing is an empty list to machines and a word to people", async () => {
    await using empty = await Box.serving();
    const words = {
      "thread list": "no threads yet; spl intend TEXT opens one",
      "actor list": "no actors yet; spl intend TEXT writes a first record",
      "federation list": "no pairs; spl federation pair URL asks for one",
      "consent list": "no grants: pairs share the namespace default only",
    };
    for (const [command, word] of Object.entries(words)) {
      const args = command.split(" ");
      expect(await empty.spl(args)).toEqual({ stdout: "", stderr: `${word}\n`, status: 0 });
      expect(await empty.spl([...args, "-o", "json"])).toEqual({ stdout: "[]\n", stderr: "", status: 0 });
      expect(await empty.spl([...args, "-o", "ndjson"])).toEqual({ stdout: "", stderr: "", status: 0 });
    }
  });
});

test("without an instance, each command says how to get one", async () => {
  const commands = [
    ["intend", "x"],
    ["emit"],
    ["thread", "list"],
    ["thread", "records", "th_a", "-f"],
    ["record", "show", "x"],
    ["actor", "list"],
    ["status"],
  ];
  for (const args of commands) {
    const { stdout, stderr, status } = await runSpl(args, { stdin: "" });
    expect({ stdout, status }).toEqual({ stdout: "", status: 3 });
    expect(stderr).toMatch(
      /^no instance is running here \(\S+\/run\/spl\.sock\); start it with spl serve --daemon\n$/,
    );
  }
  const { stderr } = await runSpl(["status", "-o", "json"]);
  expect(JSON.parse(stderr)).toMatchObject({
    code: "unreachable",
    status: 502,
    hint: "start it with spl serve --daemon",
  });
});
