import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createPublicKey, verify } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import canonicalize from "canonicalize";
import { homePaths } from "../../lib/base/home.ts";
import { HomeLock } from "../../lib/instance/lock.ts";
import { Box } from "../kit/box.ts";
import { statusOf } from "../kit/daemon.ts";
import { scratchInstances } from "../kit/drills.ts";
import { pairBoxes, whoIs } from "../kit/paired.ts";
import { tracesOf } from "../kit/snapshot.ts";
import { type RunResult, runSpl, ScratchHome, splBinary } from "../kit/spl.ts";
import { canMount, TinyDisk } from "../kit/tiny_disk.ts";
import { until } from "../kit/until.ts";

interface Drilled {
  did: string;
  public_key: string;
  records: number;
  sampled: number;
  accounts: number;
  same_file: boolean;
  phases: { phase: string; ms: number }[];
  recovered_ms: number;
  receipt: string;
  kept: string | null;
}

let box: Box;
let scratch: string;

beforeAll(async () => {
  box = await Box.serving();
  scratch = box.file("t");
  mkdirSync(scratch);
  await box.ok("service-account", "create", "--name", "ci", "--scopes", "records:read,records:write");
  await box.emit(
    Array.from({ length: 3000 }, (_, n) => ({
      thread: `th_${n % 7}`,
      actor: "did:sync:user:alice",
      act: "DO",
      body: { n, text: "é".repeat(20) },
    })),
  );
});

afterAll(() => box[Symbol.asyncDispose]());

function drill(args: string[] = [], env: Record<string, string> = {}): Promise<RunResult> {
  return runSpl(["drill", ...args], { home: box.home, env: { TMPDIR: scratch, ...env } });
}

const left = () => scratchInstances(scratch);

/** The DID's own key has signed it, as openssl would find out from the file alone. */
function isSigned(path: string): boolean {
  const { sig, ...facts } = JSON.parse(readFileSync(path, "utf8")) as Record<string, string>;
  const spki = Buffer.concat([
    Buffer.from("302a300506032b6570032100", "hex"),
    Buffer.from(facts.public_key!, "hex"),
  ]);
  const key = createPublicKey({ key: spki, format: "der", type: "spki" });
  const fingerprint = new Bun.CryptoHasher("sha256").update(spki.subarray(12)).digest("hex").slice(0, 40);
  const message = Buffer.from(`syncropel-drill-v1:${canonicalize(facts)}`);
  return facts.did!.endsWith(`-${fingerprint}`) && verify(null, message, key, Buffer.from(sig!, "base64url"));
}

test("an instance is brought back, compared, and the receipt is signed by its DID; nothing else is left", async () => {
  const before = await box.json<Record<string, unknown>>("status");
  expect(await box.spl(["drill", "list", "-o", "json"])).toMatchObject({ status: 0, stdout: "[]\n" });
  expect((await box.spl(["doctor"])).stdout).toMatch(/PASS {2}drill .*none yet, and due \S+: spl drill\n/);

  const { status, stdout, stderr } = await drill(["-o", "json"]);
  expect([status, stderr]).toEqual([0, ""]);
  const result = JSON.parse(stdout) as Drilled;
  expect(result).toMatchObject({ did: before.instance_did, records: before.records, digest: before.digest });
  expect(result).toMatchObject({ accounts: 1, same_file: true, kept: null, source_version: before.version });
  expect(result.sampled).toBeGreaterThan(100);
  expect(result.sampled).toBeLessThan(500);
  const names = result.phases.map(({ phase }) => phase);
  expect(names).toEqual(["export", "verify", "boot", "import", "compare", "re-export"]);
  const { boot, import: imported } = Object.fromEntries(result.phases.map(({ phase, ms }) => [phase, ms]));
  expect(result.recovered_ms).toBe(boot! + imported!);
  expect(isSigned(result.receipt)).toBe(true);
  expect(statSync(result.receipt).mode & 0o777).toBe(0o600);
  expect([readdirSync(scratch), left()]).toEqual([[], []]);
  expect((await box.spl(["doctor"])).stdout).toMatch(/PASS {2}drill .*less than a day ago/);

  // As cron runs it: not a word.
  expect(await drill()).toEqual({ status: 0, stdout: "", stderr: "" });
  const listed = await box.json<{ signature: string; did: string }[]>("drill", "list");
  expect(listed).toMatchObject([result, result].map(({ did }) => ({ did, signature: "valid" })));
  expect(await box.ok("drill", "list")).toMatch(
    /back in, the last 2 of did:\S+: median \d+\.\d\d s, newest \d/,
  );

  writeFileSync(result.receipt, readFileSync(result.receipt, "utf8").replace(/"records":\d+/, '"records":9'));
  expect(await box.json<object[]>("drill", "list")).toMatchObject([
    { signature: "invalid", path: result.receipt },
    { signature: "valid" },
  ]);
  expect(await box.json<object>("status")).toMatchObject({ epoch: before.epoch, digest: before.digest });
});

test("bundles: each compression, one that is encrypted, the newest backup, and without any instance running", async () => {
  await using other = await Box.serving();
  await other.ok("intend", "come back");
  const { instance_did: did } = await other.json<{ instance_did: string }>("status");
  const folder = other.file(`data/syncropel/backups/${did.split(":").at(-1)}`);
  mkdirSync(folder, { recursive: true });
  const newest = join(folder, `${did.slice(-12)}-20260102T030405Z.tar.zst`);
  await other.ok("export", "--out", join(folder, `${did.slice(-12)}-20251231T235959Z.tar.zst`));
  await other.ok("intend", "be newer");
  await other.ok("export", "--out", newest);
  await other.ok("export", "--out", other.file("b.tar"));
  await other.ok("export", "--carry-tokens", "--out", other.file("b.tar.gz"));
  await other.ok("export", "--no-identity", "--out", other.file("none.tar"));
  const env = { SPL_PASSPHRASE: "correct horse", TMPDIR: scratch };
  const run = (...args: string[]) => runSpl(args, { home: other.home, env });
  expect((await run("export", "--passphrase", "--out", other.file("b.tar.zst.age"))).status).toBe(0);
  await other.stop();
  for (const from of ["b.tar", "b.tar.gz", "b.tar.zst.age", "latest"]) {
    const { stdout, stderr, status } = await run("drill", "--from", from, "-o", "json");
    expect([from, status, stderr]).toEqual([from, 0, ""]);
    const source = from === "latest" ? newest : other.file(from);
    expect(JSON.parse(stdout)).toMatchObject({
      did,
      source,
      records: 2,
      same_file: true,
      source_version: null,
    });
  }
  const none = await run("drill", "--from", "none.tar");
  expect([none.status, none.stdout]).toEqual([1, ""]);
  expect(none.stderr).toMatch(/^drill failed in the phase verify: the bundle holds no whole instance.*\n$/);
});

test("a relative TMPDIR is one below the folder that the drill was started in", async () => {
  const TMPDIR = basename(scratch);
  const run = await runSpl(["drill"], { home: box.home, env: { TMPDIR }, cwd: dirname(scratch) });
  expect({ ...run, left: readdirSync(scratch) }).toEqual({ stdout: "", stderr: "", status: 0, left: [] });
});

test("a damaged bundle ends it with status 6 and the phase, in one line and as a problem; no receipt", async () => {
  const path = box.file("damaged.tar");
  await box.ok("export", "--out", path);
  const bytes = readFileSync(path);
  const at = bytes.lastIndexOf('"n":');
  bytes[at + 4]! ^= 1;
  writeFileSync(path, bytes);
  const receipts = (await box.json<object[]>("drill", "list")).length;
  const { status, stdout, stderr } = await drill(["--from", path]);
  expect([status, stdout]).toEqual([6, ""]);
  expect(stderr).toMatch(/^drill failed in the phase verify: bundle malformed: [^\n]*\n$/);
  const told = await drill(["--from", path, "-o", "json"]);
  expect(JSON.parse(told.stderr)).toMatchObject({ code: "bundle_malformed" });
  expect(told.stderr).toContain('"phase":"verify"');
  expect(await box.json<object[]>("drill", "list")).toHaveLength(receipts);
  expect([readdirSync(scratch), left()]).toEqual([[], []]);
});

test("no instance, no file, no backup, another drill: refused with what to do", async () => {
  const gone = await drill(["--url", "http://127.0.0.1:1"]);
  expect([gone.status, gone.stdout]).toEqual([3, ""]);
  expect(gone.stderr).toMatch(/^drill failed in the phase export: cannot reach [^\n]*\n$/);
  expect((await drill(["--from", "nowhere.tar"])).stderr).toStartWith("cannot read ");
  const latest = await drill(["--from", "latest"]);
  expect([latest.status, latest.stderr.trim().split("; ")[1]]).toEqual([1, "name a bundle with --from"]);
  const held = HomeLock.tryTake({ lock: box.file("data/syncropel/drills/.lock") })!;
  try {
    expect(await drill()).toEqual({
      status: 5,
      stdout: "",
      stderr: "another drill is running; wait until it has ended\n",
    });
  } finally {
    held.release();
  }
});

test.skipIf(!canMount)(
  "a full disk for the scratch home is told, before and in the middle of it",
  async () => {
    using disk = new TinyDisk(box.file("tiny"), 4096);
    const bundle = box.file("small.tar.zst");
    await box.ok("export", "--out", bundle);
    for (const [leftKib, args] of [
      [64, []],
      [64, ["--from", bundle]],
      [2000, ["--from", bundle]],
    ] as const) {
      disk.fill(leftKib);
      const { status, stdout, stderr } = await drill([...args], { TMPDIR: disk.path });
      expect([leftKib, status, stdout]).toEqual([leftKib, 1, ""]);
      expect(stderr).toMatch(
        /^drill failed in the phase (export|read|verify): [^\n]*(no space left|free, this)[^\n]*\n$/,
      );
      disk.relieve();
      expect(readdirSync(disk.path)).toEqual([]);
    }
  },
);

/** A drill whose scratch instance runs. */
async function begun(): Promise<{ child: Bun.Subprocess<"ignore", "pipe", "pipe">; pid: number }> {
  const child = Bun.spawn([splBinary(), "drill", "-o", "json"], {
    env: { ...box.home.env, TMPDIR: scratch },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [running] = await until(
    async () => left(),
    (seen) => seen.length > 0,
  );
  return { child, pid: Number(running!.split(" ")[0]) };
}

for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  test(`${signal} in the middle: its status, nothing said, nothing left`, async () => {
    const { child } = await begun();
    child.kill(signal);
    await child.exited;
    expect([statusOf(child), await child.stdout.text(), await child.stderr.text()]).toEqual([status, "", ""]);
    expect([readdirSync(scratch), left()]).toEqual([[], []]);
  });
}

test("killed: its instance ends by itself, and the next drill removes what lies about, but not what was kept", async () => {
  const kept = JSON.parse((await drill(["--keep", "-o", "json"])).stdout) as Drilled;
  expect(kept.kept).toStartWith(join(scratch, "spl-kept-"));
  expect(statSync(kept.kept!).mode & 0o777).toBe(0o700);
  const { child } = await begun();
  child.kill("SIGKILL");
  await child.exited;
  expect(readdirSync(scratch)).toHaveLength(2);
  await until(
    async () => left(),
    (seen) => seen.length === 0,
  );
  expect(await drill()).toMatchObject({ status: 0, stderr: "" });
  expect(readdirSync(scratch).map((name) => join(scratch, name))).toEqual([kept.kept!]);
  rmSync(kept.kept!, { recursive: true });
});

/** All rows of a store, by table. */
function contentOf(path: string): Record<string, unknown[]> {
  using db = new Database(path, { readonly: true });
  const tables = db.query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  return Object.fromEntries(tables.map(({ name }) => [name, db.query(`SELECT * FROM "${name}"`).all()]));
}

test("two at once: one drills, the other is told to wait; neither is disturbed", async () => {
  const { child } = await begun();
  expect(await drill()).toEqual({
    status: 5,
    stdout: "",
    stderr: "another drill is running; wait until it has ended\n",
  });
  await child.exited;
  expect([statusOf(child), await child.stderr.text()]).toEqual([0, ""]);
  expect(JSON.parse(await child.stdout.text())).toMatchObject({ same_file: true });
  const both = await Promise.all([drill(), drill()]);
  expect(both.map(({ status }) => status).sort()).toEqual([0, 5]);
  expect(await drill()).toMatchObject({ status: 0 });
  expect([readdirSync(scratch), left()]).toEqual([[], []]);
});

test("not a byte and no time of the home that SYNCROPEL_HOME names is changed", async () => {
  await using live = await Box.serving();
  await live.ok("intend", "stay as it is");
  const bundle = live.file("b.tar.zst");
  await live.ok("export", "--out", bundle);
  const { home, db } = homePaths(live.home.env.SYNCROPEL_HOME!);
  const run = (...args: string[]) =>
    runSpl(["drill", ...args], { home: live.home, env: { TMPDIR: scratch } });
  // A daemon notes who took its private key along, in the store and in its log; nothing else may differ.
  const rest = () => Object.entries(tracesOf(home)).filter(([name]) => !/^hub\.db|\.log$/.test(name));
  const [files, { audit, ...tables }] = [rest(), contentOf(db)];
  expect(files.map(([name]) => name)).toEqual(expect.arrayContaining(["", "keys", "run/lock"]));
  expect(await run()).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(rest()).toEqual(files);
  const { audit: longer, ...after } = contentOf(db);
  expect(after).toEqual(tables);
  expect(longer).toEqual([...audit!, expect.objectContaining({ event: "export" })]);
  for (const stopped of [false, true]) {
    if (stopped) await live.stop();
    const before = tracesOf(home);
    expect(await run("--from", bundle)).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(tracesOf(home)).toEqual(before);
  }
  // Nor is one made where there is none.
  using empty = new ScratchHome();
  expect(await runSpl(["drill", "--from", bundle], { home: empty, env: { TMPDIR: scratch } })).toMatchObject({
    status: 0,
  });
  expect(readdirSync(empty.path)).toEqual(["data"]);
});

test("a live instance with a directory and a pair stays who it is, and its home is not touched", async () => {
  await using directory = await Box.joining("--directory");
  await using live = new Box();
  await using friend = await Box.joining();
  const { home, config, keys } = homePaths(live.home.env.SYNCROPEL_HOME!);
  mkdirSync(home, { recursive: true });
  const { url: at } = await whoIs(directory);
  writeFileSync(config, `directory = "${at}"\n[federation]\nallow_networks = ["127.0.0.0/8"]\n`);
  await live.join();
  await pairBoxes(live, friend);
  const standing = async () => {
    const { epoch, state, digest, instance_did, url, pid } = await live.json("status");
    const statement = await fetch(`${at}/directory/${encodeURIComponent(String(instance_did))}`);
    return { epoch, state, digest, url, pid, statement: await statement.json(), keys: readdirSync(keys) };
  };
  const before = await standing();
  expect(before).toMatchObject({ state: "active", statement: { url: before.url, epoch: before.epoch } });
  const env = { TMPDIR: scratch, SPL_SERVE_URL: String(before.url) };
  const { status, stdout, stderr } = await runSpl(["drill", "-o", "json"], { home: live.home, env });
  expect([status, stderr]).toEqual([0, ""]);
  expect(JSON.parse(stdout)).toMatchObject({ federation_pairs: 1 });
  expect(await standing()).toEqual(before);
  expect((await live.json<object[]>("federation", "list"))[0]).toMatchObject({ state: "active" });
  await live.ok("intend", "write on");
  expect((await live.spl(["sync"])).status).toBe(0);
});
