import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type { ActorDetail, ActorImportSummary, Trust } from "../../lib/api/wire.ts";
import { Box } from "../kit/box.ts";
import { splBinary } from "../kit/spl.ts";

setDefaultTimeout(30_000);

/** An actor that moves between two machines, and what is thought of it, with the compiled binary. */

const AGENT = "did:sync:agent:deployer";
let source: Box;
let target: Box;
beforeAll(async () => {
  [source, target] = await Promise.all([Box.serving(), Box.serving()]);
  for (const box of [source, target]) box.home.env.USER = "alice";
  const at = new Date().toISOString();
  const outcome = (success: boolean) => ({
    thread: "th_review",
    act: "KNOW",
    actor: "did:sync:user:alice",
    body: { topic: "outcome", subject: AGENT, domain: "deploy", success, at },
  });
  const by = (act: string, text: string) => ({ thread: "th_work", act, actor: AGENT, body: { text } });
  await source.emit([by("DO", "rolled out"), by("LEARN", "mind the disk"), outcome(true), outcome(false)]);
  await source.ok("actor", "register", AGENT, "--name", "Deployer");
});
afterAll(async () => {
  await Promise.all([source, target].map((box) => box[Symbol.asyncDispose]()));
});

describe("an actor", () => {
  test("is shown", async () => {
    const { instance_did } = await source.json<{ instance_did: string }>("status");
    const shown = await source.ok("actor", "show", AGENT);
    expect(shown.split("\n").map((line) => line.replace(/ +/g, " ").trim())).toEqual([
      AGENT,
      "name: Deployer",
      "registered: yes",
      "records: 2",
      "threads: 1",
      "clocks: 0 to 1",
      `signer: ${instance_did}`,
      "trust: 0.391 in deploy (2 outcomes, 1 good)",
      "",
    ]);
    expect(await source.json<ActorDetail>("actor", "show", AGENT)).toMatchObject({ records: 2 });
    const { status, stderr } = await source.spl(["actor", "show", "did:sync:user:nobody"]);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: "there is no actor did:sync:user:nobody; spl actor list shows who there is\n",
    });
  });

  test("is trusted, all and one and by domain", async () => {
    const { stdout, stderr } = await source.spl(["trust"]);
    expect(stderr).toBe("");
    expect(stdout).toMatch(
      /^ACTOR +DOMAIN +TRUST +OUTCOMES +SUCCESSES +WEIGHT\ndid:sync:agent:deployer +deploy +0\.391 +2 +1 +2\.00\n$/,
    );
    expect(await source.json<Trust[]>("trust", AGENT, "--domain", "deploy")).toHaveLength(1);
    expect(await source.json<Trust[]>("trust", AGENT, "--domain", "review")).toEqual([]);
    const none = await source.spl(["trust", "did:sync:user:nobody"]);
    expect(none).toEqual({ stdout: "", stderr: "no outcomes yet; without any, trust is 0.397\n", status: 0 });
  });

  test("the example of the help is an outcome", async () => {
    const help = await source.ok("trust", "--help");
    const example = /spl know --body '(.*)'/.exec(help)![1]!;
    await target.ok("know", "--body", example);
    expect(await target.json<Trust[]>("trust")).toMatchObject([{ actor: AGENT, outcomes: 1, successes: 1 }]);
  });
});

test("wrong arguments are refused before anything is asked, with what to type", async () => {
  const { digest } = await source.json("status");
  const asDid = "write a DID, like did:sync:user:alice";
  const asName = "1 to 256 characters, none of them a control character";
  for (const [args, line] of [
    [["actor", "register", "foo"], `"foo" is no DID; ${asDid}`],
    [["trust", "foo"], `"foo" is no DID; ${asDid}`],
    [
      ["actor", "register", AGENT, "--name", "ev\x1b[31mil\nx"],
      `--name "ev\\u001b[31mil\\nx" is no name; ${asName}`,
    ],
    [
      ["actor", "register", AGENT, "--name", "n".repeat(257)],
      `--name is longer than a name may be; ${asName}`,
    ],
  ] as const) {
    expect(await source.spl(args)).toEqual({ stdout: "", stderr: `${line}\n`, status: 2 });
  }
  expect((await source.json("status")).digest).toBe(digest);
});

test("a name that no file may hold is none, whoever wrote it", async () => {
  await using from = await Box.serving();
  await using to = await Box.serving();
  await from.emit([
    { thread: "th_work", act: "DO", actor: AGENT, body: {} },
    { thread: "th_actor_registry", act: "LEARN", body: { topic: "actor", actor: AGENT, name: "ev\x1bil" } },
  ]);
  expect(await from.json<ActorDetail>("actor", "show", AGENT)).toMatchObject({
    registered: true,
    name: null,
  });
  const file = await from.ok("actor", "export", AGENT);
  expect((await to.spl(["actor", "import", "-"], file)).status).toBe(0);
});

describe("moving it", () => {
  test("a rehearsal, then the move; ids and signatures stay", async () => {
    const file = source.file("agent.ndjson");
    expect(await source.ok("actor", "export", AGENT, "--out", file)).toMatch(
      /^✓ did:sync:agent:deployer written to .*agent\.ndjson \(\d+ bytes\)\n$/,
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const records = (box: Box) => box.ok("thread", "records", "th_work");
    const before = await target.json("status");
    const rehearsed = await target.json<ActorImportSummary>("actor", "import", file, "--dry-run");
    expect(rehearsed).toMatchObject({
      inspected: 4,
      inserted: 4,
      deduplicated: 0,
      refused: 0,
      dry_run: true,
    });
    expect((await target.json("status")).digest).toBe(before.digest);
    const { stdout, stderr, status } = await target.spl(["actor", "import", file, "--trust-discount", "0.5"]);
    expect(status).toBe(0);
    expect(stderr).toStartWith("importing into ");
    expect(stdout).toStartWith(`✓ Actor verified: ${AGENT}\n`);
    expect(stdout).toMatch(/records inserted: +4\n/);
    expect(stdout).toEndWith("\n✓ Import complete\n");
    expect(await records(target)).toBe(await records(source));
    const again = await target.json<ActorImportSummary>("actor", "import", file);
    expect(again).toMatchObject({ inserted: 0, deduplicated: 4, registrations: 0, trust_discount: 0.5 });
    const trust = (await target.json<Trust[]>("trust")).find(({ domain }) => domain === "deploy")!;
    // One outcome of its own, and two that count half.
    expect(trust).toMatchObject({ outcomes: 3, successes: 2, weight: expect.closeTo(2, 3) });
  });

  test("through a pipe, without memories", async () => {
    await using far = await Box.serving();
    const piped = await source.spl(["actor", "export", AGENT, "--no-memories"]);
    expect(piped.stdout).not.toContain("mind the disk");
    const taken = await far.spl(["actor", "import", "-", "-o", "json"], piped.stdout);
    expect(JSON.parse(taken.stdout)).toMatchObject({ inserted: 3, memories: false, name: "Deployer" });
  });

  test("a damaged file changes nothing, and says which line", async () => {
    await using far = await Box.serving();
    const file = far.file("agent.ndjson");
    writeFileSync(file, (await source.ok("actor", "export", AGENT)).replace("rolled out", "rolled in"));
    const { stdout, stderr, status } = await far.spl(["actor", "import", file]);
    expect({ stdout, status }).toEqual({ stdout: "", status: 6 });
    const [, problem] = stderr.split("\n");
    expect(problem).toMatch(
      /^actor file malformed: line \d: id is not the record's hash \w{64}; nothing was changed/,
    );
    expect(await far.json("status")).toMatchObject({ records: 0 });
  });

  test("one who is here already is refused without --merge", async () => {
    await using far = await Box.serving();
    await far.ok("do", "another one of that name", "--actor", AGENT);
    const file = far.file("agent.ndjson");
    writeFileSync(file, await source.ok("actor", "export", AGENT));
    const refused = await far.spl(["actor", "import", file]);
    expect(refused.status).toBe(5);
    expect(refused.stderr).toContain(
      `import refused: ${AGENT} has 1 record here; pass --merge to unite them`,
    );
    expect(await far.json("actor", "import", file, "--merge")).toMatchObject({ inserted: 4 });
  });

  test("a file is not replaced unless it was asked for", async () => {
    const file = source.file("kept.ndjson");
    writeFileSync(file, "kept");
    const refused = await source.spl(["actor", "export", AGENT, "--out", file]);
    expect(refused).toMatchObject({ status: 5, stdout: "" });
    expect(readFileSync(file, "utf8")).toBe("kept");
    await source.ok("actor", "export", AGENT, "--out", file, "--force");
    expect(readFileSync(file, "utf8")).toContain("spl-actor");
  });

  test("an actor that is not there leaves no file", async () => {
    const file = source.file("nobody.ndjson");
    const { status } = await source.spl(["actor", "export", "did:sync:user:nobody", "--out", file]);
    expect(status).toBe(1);
    expect(existsSync(file)).toBe(false);
  });

  test.each(["2", "-1", "half", "1e9", ""])("--trust-discount %j is wrong usage", async (share) => {
    const { status, stderr } = await target.spl(["actor", "import", "x", `--trust-discount=${share}`]);
    expect(status).toBe(2);
    expect(stderr).toContain("trust-discount");
  });
});

test("an actor with 20,000 records moves while the instance goes on answering", async () => {
  await using far = await Box.serving();
  const lines = Array.from({ length: 20_000 }, (_, i) => ({
    thread: `th_${i % 50}`,
    act: "DO",
    actor: "did:sync:agent:busy",
    body: { text: `step ${i}` },
  }));
  await source.emit(lines);
  const file = source.file("busy.ndjson");
  await source.ok("actor", "export", "did:sync:agent:busy", "--out", file);
  let running = true;
  const child = Bun.spawn([splBinary(), "actor", "import", file, "-o", "json"], {
    env: far.home.env,
    stdout: "pipe",
    stderr: "ignore",
  });
  const times: number[] = [];
  child.exited.then(() => {
    running = false;
  });
  const unix = `${far.home.env.SYNCROPEL_HOME}/run/spl.sock`;
  while (running) {
    const started = performance.now();
    await (await fetch("http://localhost/health", { unix })).json();
    times.push(performance.now() - started);
  }
  expect(JSON.parse(await child.stdout.text())).toMatchObject({ inspected: 20_000, inserted: 20_000 });
  expect(times.length).toBeGreaterThan(10);
  expect(times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.9)]!).toBeLessThan(100);
});
