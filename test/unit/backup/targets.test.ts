import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FolderTarget } from "../../../lib/backup/folder_target.ts";
import { readLedger, updateLedger } from "../../../lib/backup/ledger.ts";
import { backupName, inSubset, parseBackupName, parseSubset } from "../../../lib/backup/names.ts";
import { openTarget } from "../../../lib/backup/places.ts";
import { S3Target } from "../../../lib/backup/s3_target.ts";
import type { BackupTarget, LedgerEntry } from "../../../lib/backup/types.ts";
import { S3Server } from "../../kit/s3.ts";
import { ScratchHome } from "../../kit/spl.ts";
import { canMount, TinyDisk } from "../../kit/tiny_disk.ts";

setDefaultTimeout(60_000);

const signal = new AbortController().signal;
const MIB = 1024 * 1024;
const DID = `did:sync:instance:local-${"0".repeat(28)}abcdef012345`;

/** So many chunks of 1 MiB; `before` runs ahead of each. */
async function* mebibytes(n: number, before: (at: number) => unknown = () => undefined) {
  for (let at = 0; at < n; at++) {
    await before(at);
    yield new Uint8Array(MIB).fill(at);
  }
}

async function sizeOf(target: BackupTarget, name: string): Promise<number> {
  let bytes = 0;
  for await (const chunk of target.read(name)) bytes += chunk.length;
  return bytes;
}

test("names sort by time, say what they are, and nothing else is taken for one", () => {
  const time = Date.parse("2026-11-25T03:00:00Z");
  expect(backupName(DID, time, false)).toBe("abcdef012345-20261125T030000Z.tar.zst");
  expect(parseBackupName(backupName(DID, time, true))).toEqual({
    name: "abcdef012345-20261125T030000Z.tar.zst.age",
    instance: "abcdef012345",
    time,
    encrypted: true,
  });
  for (const name of [
    "abcdef012345-ledger.json",
    ".abcdef012345-20261125T030000Z.tar.zst.0123456789ab.tmp",
    "abcdef012345-20261325T030000Z.tar.zst",
    "abcdef012345-20261125T030000Z.tar",
    "migration.tar.zst",
  ])
    expect(parseBackupName(name)).toBeNull();
});

test("a folder that vanishes meanwhile is told as one that was never there, with what makes it", async () => {
  using home = new ScratchHome();
  const path = join(home.path, "it's gone");
  mkdirSync(path);
  const target = new FolderTarget(path);
  rmSync(path, { recursive: true });
  const told = {
    code: "not_found",
    message: `there is no folder ${path}`,
    hint: `mount its disk, or make it: mkdir -p '${home.path}/it'\\''s gone'`,
  };
  await expect(target.list()).rejects.toMatchObject(told);
  await expect(target.clearTemporaries("a")).rejects.toMatchObject(told);
  await expect(target.write("a", mebibytes(1), signal)).rejects.toMatchObject(told);
  await expect(sizeOf(target, "a")).rejects.toMatchObject(told);
  expect(() => new FolderTarget(path)).toThrow(`there is no folder ${path}`);
});

test("every backup is in exactly one of the parts", () => {
  const all = Array.from({ length: 10 }, (_, n) => n);
  const parts = [1, 2, 3].map((n) => inSubset(all, parseSubset(`${n}/3`)));
  expect(parts).toEqual([
    [0, 3, 6, 9],
    [1, 4, 7],
    [2, 5, 8],
  ]);
  for (const wrong of ["0/3", "4/3", "1", "1/0", "a/b", "-1/3", "1/3 "])
    expect(() => parseSubset(wrong)).toThrow("is no part of a whole");
});

test.skipIf(!canMount)(
  "a disk that runs full or goes away while it is written to keeps no part under a name",
  async () => {
    using home = new ScratchHome();
    const path = join(home.path, "disk");
    {
      using disk = new TinyDisk(path, 4096);
      const target = new FolderTarget(path);
      await target.write("small", mebibytes(1), signal);
      await expect(target.write("large", mebibytes(8), signal)).rejects.toThrow(
        "no space left on the device",
      );
      expect(readdirSync(path)).toEqual(["small"]);
      expect(disk.freeKib).toBeGreaterThan(2048);
    }
    const disk = new TinyDisk(path, 4096);
    const target = new FolderTarget(path);
    const vanishing = mebibytes(3, (at) => at === 2 && disk[Symbol.dispose]());
    await expect(target.write("gone", vanishing, signal)).rejects.toThrow("no such file or directory");
    expect(readdirSync(path)).toEqual([]);
  },
);

test("S3 in parts and pages: whole, listed, read and removed as it was written", async () => {
  await using server = await S3Server.start();
  const target = await openTarget("s3://backups/a/b/", "/", server.env);
  expect(target.url).toBe("s3://backups/a/b");
  await target.write("large", mebibytes(40), signal);
  await target.write("small", mebibytes(1), signal);
  expect(server.keys()).toEqual(["a/b/large", "a/b/small"]);
  expect(await target.list()).toEqual([
    { name: "large", bytes: 40 * MIB },
    { name: "small", bytes: MIB },
  ]);
  expect(await sizeOf(target, "large")).toBe(40 * MIB);
  await target.remove("large");
  await target.remove("large");
  await expect(sizeOf(target, "large")).rejects.toMatchObject({ code: "not_found" });
  // The names of another prefix that begins alike are not its own.
  expect(await (await openTarget("s3://backups/a", "/", server.env)).list()).toEqual([]);
});

test("an upload that stops, however it stops, leaves no file", async () => {
  await using server = await S3Server.start();
  const target = new S3Target("s3://backups", server.env);
  const stop = new AbortController();
  const aborted = target.write(
    "aborted",
    mebibytes(40, (at) => at === 36 && stop.abort()),
    stop.signal,
  );
  await expect(aborted).rejects.toThrow("abort");
  const failing = mebibytes(40, (at) => {
    if (at === 36) throw new Error("the source broke");
  });
  await expect(target.write("failed", failing, signal)).rejects.toThrow("the source broke");
  await expect(
    target.write(
      "tiny",
      mebibytes(2, (at) => at === 1 && Promise.reject(new Error("broke"))),
      signal,
    ),
  ).rejects.toThrow("broke");
  Bun.gc(true);
  expect(await target.list()).toEqual([]);
  const dying = mebibytes(40, (at) => at === 20 && server.die());
  await expect(target.write("dead", dying, signal)).rejects.toMatchObject({ code: "unreachable" });
  expect(server.keys()).toEqual([]);
});

test("addresses and credentials of S3 are checked before anything is sent", async () => {
  const keys = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" };
  const open = (url: string, env: Record<string, string>) => () => new S3Target(url, env);
  expect(open("s3://b", keys)).toThrow("names no bucket");
  expect(open("s3://", keys)).toThrow("names no bucket");
  expect(open("s3://backups", { AWS_ACCESS_KEY_ID: "id" })).toThrow("there are no credentials for S3");
  for (const name of ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT"]) {
    expect(open("s3://backups", { ...keys, [name]: "http://s3.example.com" })).toThrow("plain http");
    expect(open("s3://backups", { ...keys, [name]: "ftp://s3.example.com" })).toThrow("is no http or https");
    expect(open("s3://backups", { ...keys, [name]: "http://127.0.0.1:9000" })).not.toThrow();
  }
  await expect(openTarget("gs://backups", "/", keys)).rejects.toMatchObject({ code: "usage" });
});

const entry = (bytes: number): LedgerEntry => ({
  bytes,
  sha256: "00",
  records: 1,
  bundle_sha256: "00",
  taken_at: "2026-11-25T03:00:00.000Z",
  verified: "content",
  read_at: "2026-11-25T03:00:00.000Z",
  damage: null,
});

test("changes to a ledger do not get lost among many at once, and damage to it is told", async () => {
  using home = new ScratchHome();
  mkdirSync(join(home.path, "there"));
  const target = new FolderTarget(join(home.path, "there"));
  const whose = { did: DID, instance: "abcdef012345" };
  await Promise.all(
    Array.from({ length: 12 }, (_, n) =>
      updateLedger(home.env, target, whose, (backups) => {
        backups[`b${n}`] = entry(n);
      }),
    ),
  );
  const ledger = await readLedger(target, whose.instance);
  expect(Object.keys(ledger!.backups).length).toBe(12);
  expect(readdirSync(target.url)).toEqual(["abcdef012345-ledger.json"]);
  await target.write("abcdef012345-ledger.json", mebibytes(1), signal);
  await expect(readLedger(target, whose.instance)).rejects.toMatchObject({ code: "verification_failed" });
});
