import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { FolderTarget } from "../../lib/backup/folder_target.ts";
import { lockTarget } from "../../lib/backup/places.ts";
import { Box } from "../kit/box.ts";
import { outside } from "../kit/outside.ts";
import { S3Server } from "../kit/s3.ts";
import { type RunResult, runCommand, runSpl } from "../kit/spl.ts";
import { canMount, TinyDisk } from "../kit/tiny_disk.ts";
import { Watcher } from "../kit/watcher.ts";

setDefaultTimeout(60_000);

/** `spl backup` with the compiled binary, as cron runs it: neither stream is a terminal. */

const SILENT = { stdout: "", stderr: "", status: 0 };

let box: Box;
let did: string;
let tail: string;

beforeAll(async () => {
  box = await Box.serving();
  await box.emit([1, 2, 3].map((n) => ({ thread: "th_a", act: "DO", body: { n } })));
  did = (await box.json<{ instance_did: string }>("status")).instance_did;
  tail = did.slice(-12);
});
afterAll(() => box[Symbol.asyncDispose]());

const freshFolder = () => mkdtempSync(box.file("target-"));
const backupsIn = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.includes(".tar.zst"))
    .sort();
const backup = (env: Record<string, string>, ...args: string[]): Promise<RunResult> =>
  runSpl(["backup", ...args], { home: box.home, env });

interface Row {
  name: string;
  verified: string | null;
  result?: string;
  damage?: string | null;
}

describe("to a folder", () => {
  test("silent, whole, private, listed, known to doctor, and an ordinary bundle", async () => {
    await using other = await Box.serving();
    const before = await other.ok("doctor");
    expect(before).toContain("PASS  backup       none yet, and due ");
    expect(await other.spl(["backup", "list"])).toEqual({
      stdout: "",
      stderr: "no backups; spl backup takes one\n",
      status: 0,
    });
    expect(await other.spl(["backup"])).toEqual(SILENT);
    const whose = (await other.json<{ instance_did: string }>("status")).instance_did;
    const folder = other.file(`data/syncropel/backups/${whose.split(":").at(-1)}`);
    const [name] = backupsIn(folder);
    expect(name).toMatch(new RegExp(`^${whose.slice(-12)}-\\d{8}T\\d{6}Z\\.tar\\.zst$`));
    expect(statSync(join(folder, name!)).mode & 0o777).toBe(0o600);
    expect(await other.json("verify", join(folder, name!))).toMatchObject({ source_did: whose });
    await other.stop();
    expect(await other.json<Row[]>("backup", "list")).toMatchObject([
      { name, verified: "content", damage: null },
    ]);
    // Below its place, no row is wider than a terminal, and each name can be typed as it stands there.
    const listed = (await other.ok("backup", "list")).split("\n");
    expect(listed[0]).toBe(folder);
    expect(listed[2]).toMatch(new RegExp(`^${name} +[0-9.]+k +0  content +\\d{4}-\\d\\d-\\d\\d$`));
    expect(listed.slice(1).every((row) => row.length <= 80)).toBe(true);
    expect(await other.spl(["backup", "verify"])).toEqual(SILENT);
    expect(await other.ok("doctor")).toMatch(/^PASS {2}backup .*less than a day old, verified: content$/m);
    rmSync(join(folder, name!));
    const gone = await other.spl(["doctor"]);
    expect(gone.stdout).toContain("WARN  backup       the last verified backup is gone");
    expect(gone.status).toBe(1);
  });

  test("two in one second keep their order, and only this instance's old ones are pruned", async () => {
    const folder = freshFolder();
    const foreign = "0123456789ab-20200101T000000Z.tar.zst";
    writeFileSync(join(folder, foreign), "another's");
    for (let n = 0; n < 3; n++) expect(await backup({}, "--to", folder)).toEqual(SILENT);
    const three = backupsIn(folder).filter((name) => name !== foreign);
    const result = await box.json<{ name: string; pruned: string[] }>(
      "backup",
      "--to",
      folder,
      "--keep-last",
      "2",
    );
    expect(result).toMatchObject({
      target: folder,
      did,
      records: 3,
      verified: "content",
      pruned: three.slice(0, 2),
    });
    expect(backupsIn(folder)).toEqual([foreign, three[2]!, result.name].sort());
    const ledger = JSON.parse(readFileSync(join(folder, `${tail}-ledger.json`), "utf8"));
    expect(Object.keys(ledger.backups).sort()).toEqual([three[2]!, result.name]);
  });

  test("a damaged one is found by name, the others are still read, and it counts for no rule", async () => {
    const folder = freshFolder();
    for (let n = 0; n < 3; n++) await backup({}, "--to", folder);
    const [first, second, third] = backupsIn(folder);
    const bytes = readFileSync(join(folder, second!));
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(join(folder, second!), bytes);
    const found = await runSpl(["backup", "verify", "--to", folder, "-o", "json"], { home: box.home });
    expect(found.status).toBe(6);
    expect(JSON.parse(found.stdout)).toMatchObject([
      { name: third, result: "sound", verified: "content" },
      { name: second, result: "damaged" },
      { name: first, result: "sound" },
    ]);
    const told = await box.spl(["backup", "verify", "--to", folder]);
    expect({ ...told, stderr: "" }).toEqual({ stdout: "", stderr: "", status: 6 });
    expect(told.stderr).toStartWith(`1 of 3 backups damaged: ${second} (`);
    expect(told.stderr).toEndWith(
      `; take a new one: spl backup --to ${folder}; then remove what is damaged\n`,
    );
    expect(told.stderr.trimEnd()).not.toContain("\n");
    expect(await box.json<Row[]>("backup", "list", "--to", folder)).toMatchObject([
      { name: first, verified: "content" },
      { name: second, verified: null, damage: expect.any(String) },
      { name: third, verified: "content" },
    ]);
    for (const [part, status] of [
      ["1/3", 0],
      ["2/3", 6],
      ["3/3", 0],
    ] as const)
      expect((await box.spl(["backup", "verify", "--to", folder, "--subset", part])).status).toBe(status);
    await backup({}, "--to", folder, "--keep-last", "3");
    expect(backupsIn(folder)).toEqual(expect.arrayContaining([first!, second!, third!]));
  });
});

describe("what doctor takes for the last verified one", () => {
  const lastOf = (own: Box) => {
    const [folder] = readdirSync(own.file("data/syncropel/backups")).filter((name) => !name.startsWith("."));
    return own.file(`data/syncropel/backups/${folder}/last_verified.json`);
  };
  const row = async (own: Box) => /^.* backup .*$/m.exec((await own.spl(["doctor"])).stdout)![0];

  test("counts no more when it proves damaged, also where the ledger is lost", async () => {
    await using own = await Box.serving();
    const folder = own.file("target");
    mkdirSync(folder);
    await own.ok("backup", "--to", folder);
    const [name] = backupsIn(folder);
    expect(await row(own)).toContain(`PASS  backup       ${folder}/${name}, less than a day old`);
    const bytes = readFileSync(join(folder, name!));
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(join(folder, name!), bytes);
    rmSync(join(folder, readdirSync(folder).find((each) => each.endsWith("-ledger.json"))!));
    expect((await own.spl(["backup", "verify", "--to", folder])).status).toBe(6);
    expect(await row(own)).toBe(
      `WARN  backup       the last verified backup is damaged: ${folder}/${name}  → spl backup`,
    );
    await own.ok("backup");
    expect(await row(own)).toMatch(/^PASS {2}backup .* less than a day old/);
  });

  test("is not one that a wrong clock dated ahead: that is told, and the next backup takes its place", async () => {
    await using own = await Box.serving();
    await own.ok("backup");
    const last = lastOf(own);
    const ahead = { ...JSON.parse(readFileSync(last, "utf8")), taken_at: "2100-01-01T00:00:00.000Z" };
    writeFileSync(last, JSON.stringify(ahead));
    expect(await row(own)).toMatch(
      /^WARN {2}backup {7}the last one is dated 2100-01-01T00:00:00\.000Z, and this clock says \S+ {2}→ spl backup$/,
    );
    await own.ok("backup");
    expect(await row(own)).toMatch(/^PASS {2}backup .* less than a day old/);
  });
});

describe("encrypted", () => {
  test("to a key: the SHA-256 is compared, and the content where the key is at hand", async () => {
    const key = box.file("key.txt");
    expect(await runCommand(["age-keygen", "-o", key], { env: box.home.env })).toMatchObject({ status: 0 });
    const recipient = outside(["age-keygen", "-y", key]).toString().trim();
    const folder = freshFolder();
    const to = ["backup", "--to", folder, "--encrypt-to", recipient];
    const blind = await box.json<Row>(...to);
    expect(blind).toMatchObject({ encrypted: true, verified: "ciphertext" });
    expect(blind.name).toEndWith(".tar.zst.age");
    expect(await box.json(...to, "--decrypt-key", key)).toMatchObject({ verified: "content" });
    const file = readFileSync(join(folder, blind.name));
    expect(file.includes("age-encryption.org/v1")).toBe(true);
    expect(outside(["age", "-d", "-i", key], { stdin: file }).subarray(0, 4).toHex()).toBe("28b52ffd");
    expect(await box.json<Row[]>("backup", "verify", "--to", folder)).toMatchObject([
      { verified: "ciphertext" },
      { verified: "ciphertext" },
    ]);
    expect(await box.json<Row[]>("backup", "verify", "--to", folder, "--decrypt-key", key)).toMatchObject([
      { verified: "content" },
      { verified: "content" },
    ]);
    // Another file of the same key, under this one's name, is not what was written.
    cpSync(join(folder, backupsIn(folder)[1]!), join(folder, blind.name));
    expect((await box.spl(["backup", "verify", "--to", folder])).status).toBe(6);
  });

  test("with a passphrase from a file; a wrong one opens nothing and is no damage", async () => {
    const folder = freshFolder();
    writeFileSync(box.file("right"), "correct horse\n");
    writeFileSync(box.file("wrong"), "battery staple\n");
    const flags = ["--to", folder, "--passphrase-file"];
    expect(await box.json("backup", ...flags, box.file("right"))).toMatchObject({ verified: "content" });
    const [name] = backupsIn(folder);
    expect(await box.spl(["backup", "verify", ...flags, box.file("right")])).toEqual(SILENT);
    expect(await box.spl(["backup", "verify", ...flags, box.file("wrong")])).toEqual({
      stdout: "",
      stderr: `1 of 1 backup locked: ${name} (the passphrase does not open this bundle); pass --decrypt-key FILE or --passphrase-file FILE\n`,
      status: 1,
    });
    expect(readFileSync(join(folder, `${tail}-ledger.json`), "utf8")).not.toContain("correct horse");
    expect(await box.json<Row[]>("backup", "list", "--to", folder)).toMatchObject([{ verified: "content" }]);
    // Damage to the lines that the passphrase opens is damage, and not another passphrase.
    const bytes = readFileSync(join(folder, name!));
    const at = bytes.indexOf("\n", bytes.indexOf("-> scrypt")) + 5;
    bytes[at] = bytes[at] === 65 ? 66 : 65;
    writeFileSync(join(folder, name!), bytes);
    expect(await box.spl(["backup", "verify", ...flags, box.file("right")])).toMatchObject({ status: 6 });
  });
});

describe("refusals", () => {
  test("wrong usage, before anything is done", async () => {
    const folder = freshFolder();
    writeFileSync(box.file("empty"), "\n");
    const cases: [flags: string[], message: string][] = [
      [["--keep-last", "0"], '--keep-last "0" is no number from 1 up'],
      [["--keep-daily", "x"], '--keep-daily "x" is no number from 1 up'],
      [["--encrypt-to", "age1x"], '"age1x" is not an age recipient'],
      [["--encrypt-to", "age1x", "--passphrase-file", "empty"], "exclude each other"],
      [["--decrypt-key", "empty"], "--decrypt-key goes with --encrypt-to"],
      [["--passphrase-file", "empty"], "the first line of empty is empty"],
      [["--ping", "ftp://x"], "--ping is no http or https URL"],
      [["--keep", "3"], "unknown flag --keep"],
    ];
    for (const [flags, message] of cases) {
      const { stdout, stderr, status } = await backup({}, "--to", folder, ...flags);
      expect({ flags, stdout, status }).toEqual({ flags, stdout: "", status: 2 });
      expect(stderr).toContain(message);
    }
    expect(readdirSync(folder)).toEqual([]);
    expect((await box.spl(["backup", "frob"])).stderr).toStartWith("unknown verb 'frob' for 'spl backup'");
    expect((await box.spl(["backup", "verify", "--subset", "3/2"])).status).toBe(2);
  });

  test("what is to be typed names the place as well", async () => {
    const folder = freshFolder();
    expect(await box.spl(["backup", "verify", "--to", folder])).toEqual({
      stdout: "",
      stderr: `there is no backup to verify; take one: spl backup --to ${folder}\n`,
      status: 1,
    });
    await backup({}, "--to", folder);
    const ledger = join(folder, readdirSync(folder).find((name) => name.endsWith("-ledger.json"))!);
    writeFileSync(ledger, "{");
    const verify = `spl backup verify --to ${folder}`;
    expect(await box.spl(["backup", "list", "--to", folder])).toEqual({
      stdout: "",
      stderr: `${ledger} is no ledger of backups; remove it, then ${verify} writes a new one\n`,
      status: 6,
    });
    rmSync(ledger);
    expect(await box.spl(verify.split(" ").slice(1))).toEqual(SILENT);
    expect(await box.json<Row[]>("backup", "list", "--to", folder)).toMatchObject([{ verified: "content" }]);
  });

  test("a folder that is not there is not made: its disk may not be mounted", async () => {
    expect(await backup({}, "--to", box.file("nowhere"))).toEqual({
      stdout: "",
      stderr: `there is no folder ${box.file("nowhere")}; mount its disk, or make it: mkdir -p ${box.file("nowhere")}\n`,
      status: 1,
    });
    expect(await backup({}, "--url", "http://127.0.0.1:1")).toMatchObject({ stdout: "", status: 3 });
  });

  test.skipIf(!canMount)(
    "a disk that is not mounted this time leaves its folder behind, and that is said",
    async () => {
      const path = box.file("mount point");
      let name: string | undefined;
      {
        using _ = new TinyDisk(path, 1024);
        expect(await backup({}, "--to", path)).toEqual(SILENT);
        [name] = backupsIn(path);
      }
      expect(await backup({}, "--to", path)).toEqual({
        stdout: "",
        stderr: `the last verified backup is gone: ${path}/${name}; if its disk is not mounted, this one lies on another\n`,
        status: 0,
      });
      expect(await backup({}, "--to", path)).toEqual(SILENT);
    },
  );

  test.skipIf(!canMount)(
    "a full or read-only disk keeps what it had, and no part of the new one",
    async () => {
      const path = box.file("disk");
      using disk = new TinyDisk(path, 1024);
      expect(await backup({}, "--to", path)).toEqual(SILENT);
      const before = readdirSync(path).sort();
      disk.fill();
      const full = await backup({}, "--to", path, "--keep-last", "1");
      expect(full).toMatchObject({ stdout: "", status: 1 });
      expect(full.stderr).toMatch(/^cannot write [^\n]+: no space left on the device; [^\n]+\n$/);
      expect(readdirSync(path).sort()).toEqual([...before, "ballast"].sort());
      disk.relieve();
      disk.remount("ro");
      const unwritable = await backup({}, "--to", path);
      expect(unwritable).toMatchObject({ stdout: "", status: 1 });
      expect(unwritable.stderr).toContain("read-only file system");
      disk.remount("rw");
      expect(await backup({}, "--to", path, "--keep-last", "1")).toEqual(SILENT);
      expect(backupsIn(path).length).toBe(1);
    },
  );

  test.skipIf(!canMount)(
    "a disk that is full before the ledger is written holds a whole backup, and that is said",
    async () => {
      const path = box.file("brim");
      using disk = new TinyDisk(path, 1024);
      disk.fill(4);
      const { stdout, stderr, status } = await backup({}, "--to", path);
      const [name] = backupsIn(path);
      expect({ stdout, stderr, status }).toEqual({
        stdout: "",
        stderr: `${name} is there and was read back, but not noted: cannot write ${path}/${tail}-ledger.json: no space left on the device; free some space, then: spl backup verify --to ${path}\n`,
        status: 1,
      });
      disk.relieve();
      expect(await box.spl(["backup", "verify", "--to", path])).toEqual(SILENT);
      expect((await box.json<Row[]>("backup", "list", "--to", path)).map(({ verified }) => verified)).toEqual(
        ["content"],
      );
    },
  );

  test("a second run on the same target ends with 5, on another it does not wait", async () => {
    const folder = freshFolder();
    const lock = lockTarget(box.home.env, new FolderTarget(folder), "backup")!;
    expect(await backup({}, "--to", folder)).toEqual({
      stdout: "",
      stderr: `another backup to ${folder} is running; run it again when that one has ended\n`,
      status: 5,
    });
    expect(await backup({}, "--to", freshFolder())).toEqual(SILENT);
    lock.release();
    const both = await Promise.all([1, 2].map(() => backup({}, "--to", folder)));
    const statuses = both.map(({ status }) => status);
    expect(statuses).toContain(0);
    expect(backupsIn(folder).length).toBe(statuses.filter((status) => status === 0).length);
    expect((await box.spl(["backup", "verify", "--to", folder])).status).toBe(0);
  });
});

describe("--ping", () => {
  test("hears the start and the status, and never fails a backup", async () => {
    await using watcher = new Watcher();
    const { heard, url } = watcher;
    expect(await backup({}, "--to", freshFolder(), "--ping", url)).toEqual(SILENT);
    expect(heard.splice(0)).toEqual(["GET /uuid/start", "GET /uuid/0"]);
    expect((await backup({}, "--to", box.file("nowhere"), "--ping", `${url}/`)).status).toBe(1);
    expect(heard.splice(0)).toEqual(["GET /uuid/start", "GET /uuid/1"]);
    await watcher.stop();
    const deaf = await backup({}, "--to", freshFolder(), "--ping", url);
    expect(deaf).toMatchObject({ stdout: "", status: 0 });
    expect(deaf.stderr).toContain("cannot be reached");
    expect(deaf.stderr).not.toContain("uuid");
  });
});

describe("to S3", () => {
  test("taken, listed, verified, pruned over the wire; a flipped bit there is found", async () => {
    await using server = await S3Server.start();
    const to = ["--to", "s3://backups/laptop"];
    expect(await backup(server.env, ...to)).toEqual(SILENT);
    const taken = await backup(server.env, ...to, "--keep-last", "1", "-o", "json");
    const { name, pruned, verified } = JSON.parse(taken.stdout);
    expect({ verified, pruned: pruned.length }).toEqual({ verified: "content", pruned: 1 });
    expect(server.keys()).toEqual([`laptop/${name}`, `laptop/${tail}-ledger.json`].sort());
    const run = (...args: string[]) =>
      runSpl(["backup", ...args, ...to], { home: box.home, env: server.env });
    expect(JSON.parse((await run("list", "-o", "json")).stdout)).toMatchObject([
      { name, verified: "content" },
    ]);
    expect(await run("verify")).toEqual(SILENT);
    const path = server.path(`laptop/${name}`);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path, bytes);
    const found = await run("verify");
    expect(found.status).toBe(6);
    expect(found.stderr).toContain(name);
  });

  test("wrong credentials, no bucket, no server, clear text: one line each, and never a secret", async () => {
    await using server = await S3Server.start();
    const secret = "a-secret-that-nobody-may-see";
    const cases: [to: string, env: Record<string, string>, status: number][] = [
      ["s3://backups", { AWS_ACCESS_KEY_ID: "NOBODY", AWS_SECRET_ACCESS_KEY: secret }, 4],
      ["s3://nobucket", {}, 1],
      ["s3://backups", { AWS_ENDPOINT_URL_S3: "http://127.0.0.1:1" }, 3],
      ["s3://backups", { AWS_ENDPOINT_URL_S3: "http://s3.example.com", AWS_SECRET_ACCESS_KEY: secret }, 5],
      ["s3://backups", { AWS_ACCESS_KEY_ID: "" }, 2],
      ["s3://", {}, 2],
    ];
    for (const [to, env, status] of cases) {
      const result = await backup({ ...server.env, ...env }, "--to", to);
      expect({ to, env, status: result.status, stdout: result.stdout }).toEqual({
        to,
        env,
        status,
        stdout: "",
      });
      expect(result.stderr).toMatch(/^[^\n]+\n$/);
      expect(result.stderr).not.toContain(secret);
    }
    expect(server.keys()).toEqual([]);
  });
});
