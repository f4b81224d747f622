import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { toHex } from "../../../lib/base/bytes.ts";
import { isoTime } from "../../../lib/base/clock.ts";
import { drillHealth, keepReceipt, keptReceipts, signReceipt } from "../../../lib/drill/receipts.ts";
import type { DrillFacts } from "../../../lib/drill/types.ts";
import { instanceDid } from "../../../lib/identity/did.ts";
import { type KeyPair, keyFromSeed } from "../../../lib/identity/key.ts";
import { ScratchFolder } from "../../kit/store.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const DRILLED = Date.parse("2026-03-01T04:00:00.000Z");

const keyOf = (n: number) => keyFromSeed(new Uint8Array(32).fill(n));

function facts(key: KeyPair, at = DRILLED): DrillFacts {
  return {
    did: instanceDid("box", key.publicKey),
    public_key: toHex(key.publicKey),
    records: 3,
    threads: 1,
    sampled: 3,
    accounts: 0,
    federation_pairs: 0,
    consent_grants: 0,
    digest: "0".repeat(64),
    records_root: "1".repeat(64),
    bundle_sha256: "2".repeat(64),
    file_sha256: "3".repeat(64),
    same_file: true,
    source: "/backups/a.tar.zst",
    source_version: null,
    version: "1.0.0",
    phases: [{ phase: "import", ms: 1200 }],
    recovered_ms: 1234,
    at: isoTime(at),
  };
}

test("doctor is content with a good drill for 30 days, then warns and says what to type", () => {
  using folder = new ScratchFolder();
  const env = { XDG_DATA_HOME: folder.path };
  const [key, other] = [keyOf(1), keyOf(2)];
  const { did } = facts(key);
  const row = (days: number) => drillHealth(env, did, DRILLED + days * DAY_MS);
  expect(row(0)).toMatchObject({ result: "warn", fix: "spl drill" });
  keepReceipt(env, signReceipt(facts(key), key));
  expect(row(0.5)).toEqual({
    result: "pass",
    detail: "last good one less than a day ago, back in 1.2 s",
    fix: null,
  });
  expect(row(1)).toMatchObject({ result: "pass", detail: "last good one 1 day ago, back in 1.2 s" });
  expect(row(30)).toMatchObject({ result: "pass" });
  expect(row(30.1)).toEqual({
    result: "warn",
    detail: "last good one 30 days ago, back in 1.2 s",
    fix: "spl drill",
  });
  // Neither another instance's drill counts, nor a receipt that somebody wrote.
  keepReceipt(env, signReceipt(facts(other, DRILLED + 40 * DAY_MS), other));
  expect(row(41)).toMatchObject({ result: "warn" });
  const forged = keepReceipt(env, { ...signReceipt(facts(key), key), at: isoTime(DRILLED + 40 * DAY_MS) });
  expect(row(41)).toMatchObject({ result: "warn" });
  expect(keptReceipts(env, did).map(({ path, receipt }) => [path === forged, receipt === null])).toEqual([
    [false, false],
    [true, true],
  ]);
  // Where the home does not open, any instance's counts, and there is nothing to drill.
  expect(drillHealth(env, null, DRILLED + 41 * DAY_MS)).toMatchObject({ result: "pass" });
  expect(drillHealth(env, null, DRILLED + 80 * DAY_MS)).toMatchObject({ result: "warn", fix: null });
});

test("files that are no receipts are damaged ones, and others are not looked at", () => {
  using folder = new ScratchFolder();
  const env = { XDG_DATA_HOME: folder.path };
  expect(keptReceipts(env, null)).toEqual([]);
  const key = keyOf(1);
  const path = keepReceipt(env, signReceipt(facts(key), key));
  expect(keptReceipts(env, null)).toMatchObject([{ path, receipt: { records: 3 } }]);
  const damaged = path.replace("20260301", "20260302");
  writeFileSync(join(dirname(path), "notes.txt"), "mine");
  mkdirSync(join(folder.path, "syncropel/drills/.hidden"), { recursive: true });
  for (const text of ["", "[]", "null", readFileSync(path, "utf8").replace('"records":3', '"records":4')]) {
    writeFileSync(damaged, text);
    expect(keptReceipts(env, null)).toMatchObject([{ path }, { path: damaged, receipt: null }]);
  }
});
