import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Box } from "../kit/box.ts";
import { outside } from "../kit/outside.ts";
import { S3Server } from "../kit/s3.ts";
import { type RunResult, runSpl } from "../kit/spl.ts";
import { Watcher } from "../kit/watcher.ts";

setDefaultTimeout(60_000);

/** Where `spl drill --from` finds what it brings back, what opens it, and whom it tells. */

const SILENT = { stdout: "", stderr: "", status: 0 };

let box: Box;
let did: string;

beforeAll(async () => {
  box = await Box.serving();
  mkdirSync(box.file("t"));
  await box.ok("intend", "come back");
  did = (await box.json<{ instance_did: string }>("status")).instance_did;
});
afterAll(() => box[Symbol.asyncDispose]());

const freshFolder = () => mkdtempSync(box.file("target-"));

function run(args: string[], env: Record<string, string> = {}, of = box): Promise<RunResult> {
  return runSpl(args, { home: of.home, env: { TMPDIR: box.file("t"), ...env } });
}

/** The last JSON of a good drill. */
async function drilled(args: string[], env: Record<string, string> = {}, of = box) {
  const { stdout, stderr, status } = await run(["drill", ...args, "-o", "json"], env, of);
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  return JSON.parse(stdout) as { source: string; did: string; records: number };
}

function newestIn(folder: string): string {
  const names = readdirSync(folder).filter((name) => name.endsWith(".zst"));
  return join(folder, names.sort().at(-1)!);
}

test("the newest backup of a folder, of the default folder, and of a bucket", async () => {
  const folder = freshFolder();
  for (const records of [1, 2]) {
    expect(await run(["backup", "--to", folder])).toEqual(SILENT);
    const newest = newestIn(folder);
    expect(await drilled(["--from", folder])).toMatchObject({ source: newest, did, records });
    await box.ok("intend", "be one more");
  }
  expect(await run(["backup"])).toEqual(SILENT);
  expect(await drilled(["--from", "latest"])).toMatchObject({ records: 3 });

  await using server = await S3Server.start();
  const at = "s3://backups/laptop";
  expect(await run(["backup", "--to", at], server.env)).toEqual(SILENT);
  const { source, records } = await drilled(["--from", at], server.env);
  expect([source, records]).toEqual([`${at}/${server.keys()[0]!.slice("laptop/".length)}`, 3]);
  expect(await run(["drill", "--from", "s3://backups/elsewhere"], server.env)).toEqual({
    stdout: "",
    stderr: `there is no backup of ${did} in s3://backups/elsewhere; name a bundle with --from\n`,
    status: 1,
  });
});

test("in a folder of several instances it is that of the one at hand; without any it is not guessed", async () => {
  const folder = freshFolder();
  await using other = await Box.serving();
  await run(["backup", "--to", folder]);
  await run(["backup", "--to", folder], {}, other);
  const { instance_did } = await other.json<{ instance_did: string }>("status");
  expect(await drilled(["--from", folder], {}, other)).toMatchObject({ did: instance_did });
  expect(await drilled(["--from", folder])).toMatchObject({ did });
  await other.stop();
  expect(await run(["drill", "--from", folder], {}, other)).toEqual({
    stdout: "",
    stderr: `there are backups of several instances in ${folder}; none is running that tells which is meant: start it, or name a bundle with --from\n`,
    status: 1,
  });
  // Another's backup proves nothing of an instance that has none.
  const single = freshFolder();
  await run(["backup", "--to", single]);
  expect(await drilled(["--from", single], {}, other)).toMatchObject({ did });
  await other.serve();
  expect(await run(["drill", "--from", single], {}, other)).toMatchObject({ stdout: "", status: 1 });
});

test("one that a wrong clock dated ahead is not taken for the newest, unless it is all there is", async () => {
  const folder = freshFolder();
  await run(["backup", "--to", folder]);
  const sound = newestIn(folder);
  const ahead = sound.replace(/-\d{8}T/, "-21000101T");
  writeFileSync(ahead, "from another time");
  expect((await drilled(["--from", folder])).source).toBe(sound);
  rmSync(sound);
  expect(await run(["drill", "--from", folder])).toMatchObject({ status: 6 });
});

test("the newest is damaged: status 6 and its name, never an older one in silence", async () => {
  const folder = freshFolder();
  for (let n = 0; n < 2; n++) await run(["backup", "--to", folder]);
  const newest = newestIn(folder);
  const bytes = readFileSync(newest);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(newest, bytes);
  const { stdout, stderr, status } = await run(["drill", "--from", folder]);
  expect({ stdout, status }).toEqual({ stdout: "", status: 6 });
  expect(stderr).toMatch(/^drill failed in the phase verify: bundle malformed: [^\n]+\n$/);
});

test("what opens an encrypted one: a key file, a passphrase file, SPL_PASSPHRASE; nothing else", async () => {
  const [key, wrong] = [box.file("key.txt"), box.file("wrong.txt")];
  for (const path of [key, wrong]) Bun.spawnSync(["age-keygen", "-o", path]);
  const recipient = outside(["age-keygen", "-y", key]).toString().trim();
  const sealed = freshFolder();
  expect(await run(["backup", "--to", sealed, "--encrypt-to", recipient])).toEqual(SILENT);
  expect(await drilled(["--from", sealed, "--decrypt-key", key])).toMatchObject({ did });
  const [name] = readdirSync(sealed).filter((each) => each.endsWith(".age"));
  renameSync(join(sealed, name!), join(sealed, "any-name"));
  expect(await drilled(["--from", join(sealed, "any-name"), "--decrypt-key", key])).toMatchObject({ did });

  const phrase = box.file("phrase");
  writeFileSync(phrase, "correct horse\n");
  const locked = freshFolder();
  expect(await run(["backup", "--to", locked, "--passphrase-file", phrase])).toEqual(SILENT);
  expect(await drilled(["--from", locked, "--passphrase-file", phrase])).toMatchObject({ did });
  expect(await drilled(["--from", locked], { SPL_PASSPHRASE: "correct horse" })).toMatchObject({ did });

  for (const [args, said] of [
    [["--from", join(sealed, "any-name"), "--decrypt-key", wrong], "drill failed in the phase read: "],
    [["--from", locked], "drill failed in the phase read: "],
    [["--from", locked, "--decrypt-key", box.file("none")], "cannot read the key file "],
    [["--decrypt-key", key], "--decrypt-key and --passphrase-file go with --from"],
    [["--from", locked, "--decrypt-key", key, "--passphrase-file", phrase], "exclude each other"],
  ] as const) {
    const { stdout, stderr, status } = await run(["drill", ...args]);
    expect([args, stdout, status === 1 || status === 2]).toEqual([args, "", true]);
    expect(stderr).toMatch(/^[^\n]+\n$/);
    expect(stderr).toContain(said);
  }
  expect(readdirSync(box.file("t"))).toEqual([]);
});

test("--ping hears the start and the status; a watcher that is away fails nothing", async () => {
  await using watcher = new Watcher();
  const { heard, url } = watcher;
  expect(await run(["drill", "--ping", url])).toEqual(SILENT);
  expect(heard.splice(0)).toEqual(["GET /uuid/start", "GET /uuid/0"]);
  expect(await run(["drill", "--from", "nowhere.tar", "--ping", url])).toMatchObject({ status: 1 });
  expect(heard.splice(0)).toEqual(["GET /uuid/start", "GET /uuid/1"]);
  expect(await run(["drill", "--url", "http://127.0.0.1:1", "--ping", url])).toMatchObject({ status: 3 });
  expect(heard.splice(0)).toEqual(["GET /uuid/start", "GET /uuid/3"]);
  await watcher.stop();
  const deaf = await run(["drill", "--ping", url]);
  expect(deaf).toMatchObject({ stdout: "", status: 0 });
  expect(deaf.stderr).toMatch(/^the ping to 127[^\n]+\nthe ping to 127[^\n]+\n$/);
  expect(deaf.stderr).not.toContain("uuid");
  expect((await run(["drill", "--ping", "ftp://x"])).status).toBe(2);
});
