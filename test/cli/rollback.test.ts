import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { homePaths } from "../../lib/base/home.ts";
import { Box, type Held, heldOf } from "../kit/box.ts";
import { filesOf, snapshot } from "../kit/snapshot.ts";
import { type RunResult, runSpl } from "../kit/spl.ts";
import { injecting, Strace } from "../kit/strace.ts";

setDefaultTimeout(60_000);

/** `spl rollback` with the compiled binary: back to before an import, or nothing has changed. */

interface Status extends Held {
  url: string;
}

/** Who the bundle is of: with an account, and a token of it that travels. */
let source: Box;
let sourceDid: string;
let bundle: string;
let carried: string;

beforeAll(async () => {
  source = await Box.serving("--name", "laptop");
  await source.emit([1, 2, 3, 4].map((n) => ({ thread: `th_${n % 2}`, act: "DO", body: { n } })));
  carried = await tokenOf(source, "ci");
  sourceDid = (await statusOf(source)).instance_did;
  bundle = source.file("bundle.tar.zst");
  await source.ok("export", "--carry-tokens", "--out", bundle);
});
afterAll(() => source[Symbol.asyncDispose]());

async function statusOf(box: Box): Promise<Status> {
  const status = await box.json<Status>("status");
  return { ...heldOf(status), url: status.url };
}

async function tokenOf(box: Box, name: string): Promise<string> {
  const flags = ["--name", name, "--scopes", "records:read", "--with-token"];
  return (await box.json<{ token: string }>("service-account", "create", ...flags)).token;
}

/** What somebody with this token gets to hear at the box's port. */
async function answerTo(box: Box, token: string, ...args: string[]): Promise<number> {
  const { url } = await statusOf(box);
  return (await runSpl([...args, "--url", url], { env: { SPL_TOKEN: token } })).status;
}

const own = (n: number) => ({ thread: "th_own", act: "DO", body: { text: `own ${n}` } });

/** A box with two records of its own that has taken the bundle in, and what it was before. */
async function imported(...flags: string[]): Promise<{ box: Box; before: Status; after: Status }> {
  const box = await Box.serving();
  await box.emit([own(1), own(2)]);
  const before = await statusOf(box);
  await box.ok("import", "--force-overwrite", ...flags, bundle);
  return { box, before, after: await statusOf(box) };
}

/** The folder of copies of a box, with every file in it. */
function copiesOf(box: Box): string[] {
  const folder = box.file("data");
  if (!existsSync(folder)) return [];
  return Object.entries(filesOf(folder))
    .filter(([, hash]) => hash !== "")
    .map(([path]) => join(folder, path));
}

/**
 * Everything that must not change when something is refused. SQLite may move its log into the store meanwhile: what they
 * hold is in the status.
 */
async function stateOf(box: Box): Promise<object> {
  const { status, files } = await snapshot(box);
  const others = Object.entries(files).filter(([path]) => !path.startsWith("hub.db"));
  return { status, files: others, imports: await box.json("rollback", "list") };
}

/** Refused with this line and status: nothing was said on standard output, nothing has changed. */
async function expectRefused(
  box: Box,
  args: string[],
  status: number,
  stderr: string | RegExp,
): Promise<void> {
  const before = await stateOf(box);
  const said = await box.spl(args);
  expect({ args, ...said }).toEqual({
    args,
    stdout: "",
    stderr: typeof stderr === "string" ? stderr : expect.stringMatching(stderr),
    status,
  });
  expect(await stateOf(box)).toEqual(before);
  expect(copiesOf(box)).toEqual([]);
}

describe("back", () => {
  test("word for word: what it was before, and a copy of what it had become", async () => {
    const { box, before, after } = await imported();
    await using _ = box;
    await box.emit([own(3)]);
    const later = await statusOf(box);
    expect(await box.ok("rollback", "list")).toMatch(
      new RegExp(
        `^N +TIME +SOURCE +INSERTED +RECORDS_BEFORE +DIGEST_BEFORE +STATE *\n1 +20\\S+Z +${sourceDid} +4 +2 +${before.digest.slice(0, 16)} +adopted *\n$`,
      ),
    );
    const done = await box.spl(["rollback", "--yes"]);
    const [copy, ...more] = copiesOf(box);
    expect(more).toEqual([]);
    expect(done).toEqual({
      stdout: `✓ Back to before import 1
  removed:   5 records, 1 of them written or synced since
  records:   2
  digest:    ${before.digest} (as before the import)
  identity:  restored (${before.instance_did})
  copy:      ${copy}
`,
      stderr: `the copy holds everything as it was and can act as you: keep it like a password, or remove it
this home is ${before.instance_did} again, and not ${after.instance_did} any more
in the home where that one lived before, spl serve --reclaim takes it back
`,
      status: 0,
    });
    expect(await statusOf(box)).toEqual(before);
    expect(await box.json("rollback", "list")).toMatchObject([{ n: 1, state: "undone", inserted: 4 }]);
    expect(await box.ok("doctor", "--deep")).not.toContain("FAIL");
    const audit = (await box.ok("audit")).trim().split("\n");
    expect(audit.map((line) => JSON.parse(line).event)).toEqual(["import", "rollback"]);

    expect(statSync(copy!).mode & 0o777).toBe(0o600);
    expect(await box.json("verify", copy!)).toMatchObject({
      record_count: 7,
      source_did: after.instance_did,
    });
    // It leads back to where it was, and works on.
    await box.ok("import", "--force-overwrite", copy!);
    expect(await statusOf(box)).toMatchObject({ records: 7, digest: later.digest, instance_did: sourceDid });
    await box.emit([own(4)]);
    expect((await statusOf(box)).records).toBe(8);
  });

  test("several at once, by number; told to machines under the names that scripts rely on", async () => {
    const { box, before, after } = await imported("--keep-identity");
    await using _ = box;
    await box.ok("import", bundle, "--force-overwrite");
    await box.ok("import", bundle, "--force-overwrite");
    const summary = await box.json("rollback", "2", "--yes");
    expect(summary).toEqual({
      batch: 2,
      batches: 2,
      copy: expect.stringContaining("/before-rollback-2-"),
      removed: 0,
      removed_local: 0,
      restored: 0,
      records: 6,
      digest: after.digest,
      identity: "restored",
      instance_did: before.instance_did,
      left_did: sourceDid,
    });
    const list = await box.json<{ n: number; state: string }[]>("rollback", "list");
    expect(list.map(({ n, state }) => [n, state])).toEqual([
      [1, "standing"],
      [2, "undone"],
      [3, "undone"],
    ]);
    expect(await box.json("rollback", "--yes")).toMatchObject({
      batch: 1,
      identity: "unchanged",
      left_did: null,
    });
    expect(await statusOf(box)).toEqual(before);
  });

  test("without the daemon", async () => {
    const { box, before } = await imported();
    await using _ = box;
    await box.stop();
    const unreached = await box.spl(["rollback", "--yes"]);
    expect(unreached).toMatchObject({ status: 3, stdout: "" });
    expect(unreached.stderr).toContain("spl rollback --offline works without it");
    // As a copy of a home that holds no more than the store and the keys.
    rmSync(homePaths(box.home.env.SYNCROPEL_HOME!).run, { recursive: true });
    expect(await box.json("rollback", "list", "--offline")).toMatchObject([{ n: 1, state: "standing" }]);
    expect(await box.json("rollback", "--offline", "--yes")).toMatchObject({ removed: 4, records: 2 });
    await box.serve();
    const { url: _url, ...facts } = before;
    expect(await statusOf(box)).toMatchObject(facts);
  });

  test("accounts and tokens of the bundle go, those of the instance stay", async () => {
    await using box = await Box.serving();
    const kept = await tokenOf(box, "mine");
    await box.ok("import", bundle);
    expect(await answerTo(box, carried, "status")).toBe(0);
    expect(await answerTo(box, kept, "status")).toBe(0);
    await box.ok("rollback", "--yes");
    expect(await answerTo(box, carried, "status")).toBe(4);
    expect(await answerTo(box, kept, "status")).toBe(0);
    const accounts = await box.json<{ name: string }[]>("service-account", "list");
    expect(accounts.map(({ name }) => name)).toEqual(["mine"]);
  });

  test("an envelope that the import replaced is there again", async () => {
    await using mine = await Box.serving();
    await using other = await Box.serving();
    await mine.emit([own(1)]);
    const { instance_did } = await statusOf(mine);
    const [line] = (await mine.ok("thread", "records", "th_own")).trim().split("\n");
    const { id, record } = JSON.parse(line!) as { id: string; record: { actor: string; body: object } };
    // The same record by another signer: where that envelope is the smaller one, every intake prefers it.
    const { parents: _p, clock: _c, data_type: _d, ...emission } = record as Record<string, unknown>;
    await other.emit([emission]);
    const theirs = (await other.ok("thread", "records", "th_own")).trim();
    expect(JSON.parse(theirs)).toMatchObject({ id });
    const [winner, loser] =
      instance_did < (await statusOf(other)).instance_did ? [mine, other] : [other, mine];
    await winner.ok("export", "--no-identity", "--out", winner.file("w.tar"));
    const before = await loser.ok("thread", "records", "th_own");
    await loser.ok("import", "--force-overwrite", winner.file("w.tar"));
    expect(await loser.ok("thread", "records", "th_own")).toBe(
      await winner.ok("thread", "records", "th_own"),
    );
    expect(await loser.json("rollback", "--yes")).toMatchObject({ removed: 0, restored: 1 });
    expect(await loser.ok("thread", "records", "th_own")).toBe(before);
  });
});

describe("refused", () => {
  test("where there is nothing to roll back, or not that number", async () => {
    await using box = await Box.serving();
    const none = "there is nothing to roll back: no import stands; spl rollback list shows all\n";
    await expectRefused(box, ["rollback", "--yes"], 1, none);
    expect(await box.spl(["rollback", "list"])).toEqual({
      stdout: "",
      stderr: "no imports yet\n",
      status: 0,
    });
    expect(await box.ok("rollback", "list", "-o", "json")).toBe("[]\n");
    await box.ok("import", bundle);
    await expectRefused(
      box,
      ["rollback", "2", "--yes"],
      1,
      "there is no batch 2: 1 import so far; spl rollback list shows all\n",
    );
    await box.ok("rollback", "1", "--yes");
    rmSync(box.file("data"), { recursive: true });
    await expectRefused(
      box,
      ["rollback", "1", "--yes"],
      5,
      /^batch 1 was undone already \(20\S+Z\); spl rollback list shows which stand\n$/,
    );
    await expectRefused(box, ["rollback", "--yes"], 1, none);
  });

  test("what is no number, what contradicts itself, and a script without --yes", async () => {
    const { box } = await imported();
    await using _ = box;
    for (const typed of ["0", "-1", "1.5", "first", "01", "9999999999999999"]) {
      await expectRefused(
        box,
        ["rollback", "--yes", "--", typed],
        2,
        /^'\S+' is no number of an import; spl rollback list/,
      );
    }
    await expectRefused(
      box,
      ["rollback"],
      2,
      "there is no terminal to ask whether to undo import 1: 4 records of it are saved and removed; pass --yes to do it\n",
    );
    await expectRefused(
      box,
      ["rollback", "--offline", "--url", "http://localhost:1"],
      2,
      /^--offline is for this machine's home/,
    );
    await expectRefused(
      box,
      ["rollback", "--offline", "--yes"],
      5,
      /^the daemon of \S+ is running; leave out --offline/,
    );
  });

  test("without a home", async () => {
    const { stdout, stderr, status } = await runSpl(["rollback", "list", "--offline"]);
    expect({ stdout, status }).toEqual({ stdout: "", status: 1 });
    expect(stderr).toMatch(/^there is no instance at \S+; set SYNCROPEL_HOME to its home\n$/);
  });

  test("to everyone but an administrator", async () => {
    const { box } = await imported();
    await using _ = box;
    const reader = await tokenOf(box, "reader");
    const before = await statusOf(box);
    expect(await answerTo(box, reader, "rollback", "list")).toBe(4);
    expect(await answerTo(box, reader, "rollback", "1", "--yes")).toBe(4);
    expect(await statusOf(box)).toEqual(before);
  });

  test("where the copy cannot be written", async () => {
    const { box } = await imported();
    await using _ = box;
    writeFileSync(box.file("data"), "a file where the folder should be");
    const before = await stateOf(box);
    const { stdout, stderr, status } = await box.spl(["rollback", "--yes"]);
    expect({ stdout, status }).toEqual({ stdout: "", status: 1 });
    expect(stderr).toMatch(
      /^cannot make the folder \S+data\S+: [^;]+; nothing was changed; the copy of what a rollback removes goes there: set XDG_DATA_HOME to another folder\n$/,
    );
    expect(await stateOf(box)).toEqual(before);
  });

  test("where the key of before is gone, until it is put back", async () => {
    const { box, before } = await imported();
    await using _ = box;
    const { keys } = homePaths(box.home.env.SYNCROPEL_HOME!);
    const path = join(keys, "retired", `${before.instance_did.slice(-40)}.key`);
    const key = readFileSync(path);
    rmSync(path);
    await expectRefused(
      box,
      ["rollback", "--yes"],
      1,
      `the private key ${path} is missing; put it back from a copy of keys/\n`,
    );
    writeFileSync(path, key);
    chmodSync(path, 0o600);
    await box.ok("rollback", "--yes");
    expect(await statusOf(box)).toEqual(before);
  });
});

describe("by itself", () => {
  /**
   * Imports into a box whose disk has lost the key that the bundle brings by the time it is looked for: the import itself
   * reads it once.
   */
  async function importBroken(box: Box, ...flags: string[]): Promise<RunResult> {
    const { keys } = homePaths(box.home.env.SYNCROPEL_HOME!);
    const path = join(keys, `${sourceDid.slice(-40)}.key`);
    const { pid } = await box.json<{ pid: number }>("status");
    await using _ = await Strace.attach(pid, "-P", path, ...injecting("openat", "error=EIO:when=2+"));
    return await box.spl(["import", "--force-overwrite", ...flags, bundle]);
  }

  test("an import is taken back when the instance does not come up right behind it", async () => {
    await using box = await Box.serving();
    await box.emit([own(1), own(2)]);
    const before = await statusOf(box);
    const { stdout, stderr, status } = await importBroken(box);
    expect(status).toBe(6);
    expect(stdout).toEndWith("→ Importing...\n");
    expect(stderr).toMatch(
      /\nthe instance did not come up right after the import: cannot read \S+\.key: [^;]+; it was taken back, nothing has changed; spl doctor --deep looks for the cause; --no-auto-rollback keeps an import as it is\n$/,
    );
    expect(await statusOf(box)).toEqual(before);
    expect(await box.json("rollback", "list")).toMatchObject([{ n: 1, state: "undone" }]);
    // What it brought is in the bundle, and nothing else was there to lose.
    expect(copiesOf(box)).toEqual([]);
    expect(await box.ok("doctor", "--deep")).not.toContain("FAIL");
    await box.ok("import", "--force-overwrite", bundle);
    expect(await statusOf(box)).toMatchObject({ instance_did: sourceDid, records: 6 });
  });

  test("--no-auto-rollback keeps it, says what is wrong, and how to take it back", async () => {
    await using box = await Box.serving();
    await box.emit([own(1), own(2)]);
    const before = await statusOf(box);
    const { stdout, stderr, status } = await importBroken(box, "--no-auto-rollback");
    expect(status).toBe(1);
    expect(stdout).toEndWith("✓ Import complete\n");
    expect(stderr).toMatch(
      /\nthe import was kept, but the instance did not come up right: cannot read \S+\.key: [^;]+; spl rollback 1 takes it back\n$/,
    );
    expect(await statusOf(box)).toMatchObject({ instance_did: sourceDid, records: 6 });
    await box.ok("rollback", "1", "--yes");
    expect(await statusOf(box)).toEqual(before);
  });

  /** Changes a byte in a stored record, as a disk may. */
  function damageRecord(box: Box, thread: string): void {
    using db = new Database(homePaths(box.home.env.SYNCROPEL_HOME!).db);
    const { id, canonical } = db
      .query(
        "SELECT r.id, r.canonical FROM records r JOIN threads t ON t.no = r.thread WHERE t.thread = ? ORDER BY r.seq",
      )
      .get(thread) as { id: Uint8Array; canonical: Uint8Array };
    const bytes = Buffer.from(canonical);
    bytes[bytes.indexOf('"body":{"') + 9]! ^= 1;
    expect(db.query("UPDATE records SET canonical = ? WHERE id = ?").run(bytes, id).changes).toBe(1);
  }

  test("of a store with a damaged record the way back that is told works, and what was is kept as it was", async () => {
    await using box = await Box.serving();
    await box.emit([own(1), own(2)]);
    damageRecord(box, "th_own");
    const before = await statusOf(box);
    const args = ["import", "--force-overwrite", "--no-auto-rollback", bundle];
    const { stderr, status } = await box.spl(args);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /did not come up right: record [0-9a-f]{64} is damaged; spl rollback 1 takes it back\n$/,
    );
    for (const args of [["backup"], ["export", "--out", "x.tar"], ["drill"]]) {
      const failed = await box.spl(args);
      expect([failed.status, failed.stderr]).toEqual([
        6,
        expect.stringMatching(/ does not hash to its id; run spl doctor --deep, then move the home away/),
      ]);
    }
    const done = await box.spl(["rollback", "1", "--yes"]);
    expect({ ...done, stdout: "" }).toEqual({
      stdout: "",
      stderr: expect.stringContaining(
        "a record is damaged, so the copy is the store file and no bundle; spl doctor --deep tells whether the damage is gone\n",
      ),
      status: 0,
    });
    expect(await statusOf(box)).toEqual(before);
    const copy = copiesOf(box).find((path) => /\/before-rollback-1-\d{8}T\d{6}Z\.db$/.test(path));
    expect(done.stdout).toContain(copy!);
    expect(statSync(copy!).mode & 0o777).toBe(0o600);
    using db = new Database(copy!, { readonly: true });
    expect(db.query("SELECT records FROM totals").get()).toEqual({ records: 6 });
    expect((await box.spl(["doctor", "--deep"])).stdout).toContain(" is damaged");
  });
});
