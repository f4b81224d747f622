import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { homePaths } from "../../lib/base/home.ts";
import { Box, type Held, heldOf } from "../kit/box.ts";
import { pairBoxes, syncBox, whoIs } from "../kit/paired.ts";
import { filesOf } from "../kit/snapshot.ts";
import { runCommand, runSpl, splBinary } from "../kit/spl.ts";
import { until } from "../kit/until.ts";

setDefaultTimeout(60_000);

/** `spl restore` with the compiled binary: the home is there, or nothing is. */

let source: Box;
let before: Held;
let bundle: string;

beforeAll(async () => {
  source = await Box.serving("--name", "laptop");
  await source.emit([1, 2, 3, 4].map((n) => ({ thread: `th_${n % 2}`, act: "DO", body: { n } })));
  await source.ok("service-account", "create", "--name", "ci", "--scopes", "records:read");
  before = await statusOf(source);
  bundle = source.file("bundle.tar.zst");
  await source.ok("export", "--out", bundle);
  await source.ok("export", "--no-identity", "--out", source.file("anonymous.tar"));
});
afterAll(() => source[Symbol.asyncDispose]());

async function statusOf(box: Box): Promise<Held> {
  return heldOf(await box.json<Held>("status"));
}

const homeOf = (box: Box) => box.home.env.SYNCROPEL_HOME!;

const said = (identity: string) => `✓ Bundle verified
  signature:     valid
  source DID:    ${before.instance_did}

→ Restoring...
  records inserted:    4
  records deduplicated: 0
  threads:             2
  federation pairs:    0
  identity:            ${identity}

`;
const ADOPTED = "adopted (private key matches incoming bundle)";

describe("a new home", () => {
  test("word for word; it is that instance, in a later epoch, and exports the same bytes", async () => {
    await using box = new Box();
    const home = homeOf(box);
    expect(await box.spl(["restore", bundle])).toEqual({
      stdout: `${said(ADOPTED)}✓ Restored to ${home}\n`,
      stderr: `restoring to ${home}\nstart it: spl serve --daemon\n`,
      status: 0,
    });
    const { keys, db, run } = homePaths(home);
    const name = `${before.instance_did.slice(-40)}.key`;
    expect(readdirSync(keys).sort()).toEqual([name, "instance.key"]);
    for (const path of [db, join(keys, name)]) expect(statSync(path).mode & 0o777).toBe(0o600);
    for (const path of [home, keys, run]) expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(readdirSync(run)).toEqual(["lock"]);
    await box.ok("export", "--offline", "--out", box.file("off.tar.zst"));
    expect(readFileSync(box.file("off.tar.zst")).equals(readFileSync(bundle))).toBe(true);

    await box.serve();
    const { epoch, ...facts } = before;
    const after = await statusOf(box);
    expect(after).toMatchObject(facts);
    expect(after.epoch).toBeGreaterThan(epoch);
    expect(await box.json("service-account", "list")).toMatchObject([{ name: "ci" }]);
    expect(await box.ok("doctor", "--deep")).not.toContain("FAIL");
    expect((await box.ok("audit")).split("\n")[0]).toContain('"event":"restore"');
    await box.ok("do", "go on");
    expect((await statusOf(box)).records).toBe(5);
    // Nothing came before it.
    expect(await box.spl(["rollback", "--yes"])).toMatchObject({ status: 1, stdout: "" });
  });

  test("elsewhere, from standard input; the home that is there stays as it is", async () => {
    await using box = await Box.serving();
    const own = await statusOf(box);
    const files = filesOf(homeOf(box));
    const home = box.file("it's new/home");
    const { stdout, stderr, status } = await box.spl(
      ["restore", "-", "--deep", "--home", "it's new/home"],
      readFileSync(bundle),
    );
    expect({ stdout, status }).toEqual({ stdout: `${said(ADOPTED)}✓ Restored to ${home}\n`, status: 0 });
    // The line that it tells starts the home, whatever shell characters the path has.
    const start = /^start it: (.+)$/m.exec(stderr)![1]!;
    const line = start.replace(/\bspl serve --daemon$/, '"$0" serve --daemon --isolated --port 0 -o json');
    const env = box.home.env;
    const started = await runCommand(["bash", "-c", line, splBinary()], { env });
    expect(JSON.parse(started.stdout)).toMatchObject({ instance_did: before.instance_did, home });
    const stop = await runSpl(["serve", "--stop"], { home: box.home, env: { SYNCROPEL_HOME: home } });
    expect(stop.status).toBe(0);
    expect(await statusOf(box)).toEqual(own);
    expect(filesOf(homeOf(box))).toEqual(files);
  });

  test("told to machines under the names that scripts rely on, with a receipt", async () => {
    await using box = new Box();
    const { stdout, stderr } = await box.spl(["restore", bundle, "-o", "json"]);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toMatchObject({
      home: homeOf(box),
      signature: "valid",
      source_did: before.instance_did,
      inspected: 4,
      inserted: 4,
      deduplicated: 0,
      refused: 0,
      threads: 2,
      federation_pairs: 0,
      identity: "adopted",
      receipt: { destination_did: before.instance_did, digest: before.digest, records: 4 },
    });
  });

  test("from an encrypted bundle", async () => {
    await using box = new Box();
    const path = source.file("locked.tar.zst.age");
    const env = { SPL_PASSPHRASE: "correct horse" };
    await runSpl(["export", "--passphrase", "--out", path], { home: source.home, env });
    const locked = await box.spl(["restore", path]);
    expect(locked).toMatchObject({ status: 2, stdout: "" });
    expect(locked.stderr).toContain("The bundle's passphrase is needed, and there is no terminal");
    const wrong = await runSpl(["restore", path], { home: box.home, env: { SPL_PASSPHRASE: "wrong horse" } });
    expect(wrong).toMatchObject({ status: 1, stdout: "" });
    expect(readdirSync(box.home.path)).toEqual([]);
    expect(await runSpl(["restore", path], { home: box.home, env })).toMatchObject({ status: 0 });
  });

  test.each([
    ["without", "anonymous.tar"],
    ["with", "bundle.tar.zst"],
  ])(
    "from a bundle %s a private key where a new identity is asked for: records, and nobody's access",
    async (_, file) => {
      await using box = new Box();
      const { stdout, stderr, status } = await box.spl(["restore", "--new-identity", source.file(file)]);
      expect({ stderr, status }).toMatchObject({ status: 0 });
      await box.serve();
      const { instance_did, records, digest } = await statusOf(box);
      expect({ records, digest }).toEqual({ records: 4, digest: before.digest });
      expect(instance_did).not.toBe(before.instance_did);
      expect(stdout).toStartWith(said(`new: ${instance_did}`));
      expect(await box.json<object[]>("service-account", "list")).toEqual([]);
    },
  );

  test("keeps what belongs to this host where a damaged home was moved away", async () => {
    await using box = new Box();
    const { home, config } = homePaths(homeOf(box));
    mkdirSync(home);
    writeFileSync(config, 'public_url = "https://box.example.com"\n');
    await box.ok("restore", bundle);
    expect(readFileSync(config, "utf8")).toContain("box.example.com");
    await box.serve();
  });

  test("takes over from the old home, which hears of it from a peer", async () => {
    await using old = await Box.joining();
    await using peer = await Box.joining();
    await using fresh = new Box();
    await pairBoxes(old, peer);
    await peer.emit([{ thread: "th_shared", act: "DO", body: { text: "by the peer" } }]);
    expect((await syncBox(old)).outcomes).toMatchObject([{ pulled: 1, failure: null }]);
    await old.ok("export", "--out", old.file("b.tar"));
    await peer.emit([{ thread: "th_shared", act: "DO", body: { text: "since the backup" } }]);
    await fresh.ok("restore", old.file("b.tar"));
    await fresh.join();
    expect((await syncBox(fresh)).outcomes).toMatchObject([{ pulled: 1, failure: null }]);
    await fresh.emit([{ thread: "th_shared", act: "DO", body: { text: "by the restored home" } }]);
    expect((await syncBox(peer)).outcomes).toMatchObject([{ pulled: 1, failure: null }]);
    const digest = async (box: Box) =>
      (await box.json<{ digest: string }>("thread", "show", "th_shared")).digest;
    expect(await digest(peer)).toBe(await digest(fresh));
    await syncBox(old);
    expect(await old.spl(["do", "two of me"])).toMatchObject({ status: 5, stdout: "" });
    expect((await whoIs(old)).did).toBe((await whoIs(fresh)).did);
  });
});

describe("refused", () => {
  /** With this status and line; what is in the box's folder is as it was. */
  async function expectRefused(
    box: Box,
    args: string[],
    status: number,
    line: string | RegExp,
    stdin?: Uint8Array,
  ): Promise<void> {
    const files = filesOf(box.home.path);
    const result = await box.spl(["restore", ...args], stdin);
    expect({ args, status: result.status }).toEqual({ args, status });
    const [target, ...said] = result.stderr.trimEnd().split("\n");
    expect(target).toStartWith("restoring to ");
    expect(said).toEqual([typeof line === "string" ? line : expect.stringMatching(line)]);
    expect(result.stdout).toBe("");
    expect(filesOf(box.home.path)).toEqual(files);
  }

  test("onto an instance, whether its daemon runs or not", async () => {
    await using box = await Box.serving();
    const line = `restore refused: there is an instance at ${homeOf(box)} already; name another folder with --home, or move that one away; spl import brings a bundle into an instance that is there`;
    await expectRefused(box, [bundle], 5, line);
    await box.stop();
    await expectRefused(box, [bundle], 5, line);
    // What is left of one that lost its store still has its key, which may be the only copy.
    for (const end of ["", "-wal", "-shm"]) rmSync(`${homePaths(homeOf(box)).db}${end}`, { force: true });
    await expectRefused(
      box,
      [bundle],
      5,
      /^restore refused: \S+\/keys holds a key, but the store \S+\/hub\.db is missing; restore hub\.db from a copy, or move the home away/,
    );
  });

  test("into a folder that holds something else, or where no folder can be", async () => {
    await using box = new Box();
    const photos = box.file("photos");
    mkdirSync(photos, { mode: 0o755 });
    writeFileSync(join(photos, "cat.jpg"), "meow");
    await expectRefused(
      box,
      [bundle, "--home", photos],
      5,
      `restore refused: ${photos} holds something else (cat.jpg); name a folder that is new or empty with --home`,
    );
    expect(statSync(photos).mode & 0o777).toBe(0o755);
    await expectRefused(box, [bundle, "--home", join(photos, "cat.jpg")], 1, /not a directory/);
    await expectRefused(box, [bundle, "--home", join(photos, "cat.jpg", "x")], 1, /not a directory/);
    await expectRefused(box, [bundle, "--home", box.file("x".repeat(100))], 2, /^the socket path /);
  });

  test("a bundle that is damaged, cut short, of somebody else, without a key, or not there", async () => {
    await using box = new Box();
    const bytes = readFileSync(source.file("anonymous.tar"));
    const whole = readFileSync(bundle);
    await expectRefused(box, ["-"], 6, /^bundle malformed: /, whole.subarray(0, whole.length - 5));
    const flipped = Uint8Array.from(bytes);
    flipped[flipped.indexOf(0x7b, 2000)]! ^= 1;
    await expectRefused(box, ["-", "--new-identity"], 6, /^bundle malformed: /, flipped);
    await expectRefused(box, ["-"], 6, /^bundle malformed: /, Buffer.from("no bundle"));
    await expectRefused(
      box,
      [bundle, "--expect-did", `did:sync:instance:other-${"0".repeat(40)}`],
      5,
      /^restore refused: this is a bundle of did:\S+, not of did:\S+; check which file you meant/,
    );
    await expectRefused(
      box,
      [source.file("anonymous.tar")],
      5,
      `restore refused: the bundle was written with --no-identity, so nothing here could be ${before.instance_did}; use a bundle that has the private key, or pass --new-identity for a new one that holds these records`,
    );
    expect(await box.spl(["restore", box.file("none.tar")])).toEqual({
      stdout: "",
      stderr: `cannot read ${box.file("none.tar")}: no such file or directory\n`,
      status: 1,
    });
    expect(existsSync(homeOf(box))).toBe(false);
  });

  test("onto an instance that was made while the bundle was waited for; no key stays there", async () => {
    await using box = new Box();
    const child = Bun.spawn([splBinary(), "restore", "-"], {
      env: box.home.env,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    // It has looked, and waits for the bundle.
    await child.stderr.getReader().read();
    await box.ok("init");
    const made = filesOf(homeOf(box));
    child.stdin.write(readFileSync(bundle));
    await child.stdin.end();
    expect(await child.exited).toBe(5);
    expect(filesOf(homeOf(box))).toEqual(made);
  });

  test("what cannot be a DID is no DID to expect", async () => {
    await using box = new Box();
    expect(await box.spl(["restore", bundle, "--expect-did", "me"])).toEqual({
      stdout: "",
      stderr: '"me" is no DID; write a DID, like did:sync:user:alice\n',
      status: 2,
    });
    expect(existsSync(homeOf(box))).toBe(false);
  });

  test("while another restore fills the same folder, which completes", async () => {
    await using box = new Box();
    const whole = readFileSync(bundle);
    const child = Bun.spawn([splBinary(), "restore", "-"], {
      env: box.home.env,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    child.stdin.write(whole.subarray(0, 100));
    await child.stdin.flush();
    const { run } = homePaths(homeOf(box));
    // It spools what it reads behind the lock.
    await until(
      async () => (existsSync(run) ? readdirSync(run) : []),
      (names) => names.some((name) => name.startsWith("import-")),
    );
    const second = await box.spl(["restore", bundle]);
    expect(second).toMatchObject({ status: 5, stdout: "" });
    expect(second.stderr).toContain(`another spl is using ${homeOf(box)}; wait for it to end and try again`);
    child.stdin.write(whole.subarray(100));
    await child.stdin.end();
    expect(await child.exited).toBe(0);
    await box.serve();
    expect(await statusOf(box)).toMatchObject({ instance_did: before.instance_did, records: 4 });
  });
});
