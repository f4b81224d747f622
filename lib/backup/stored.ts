import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import type { DecryptWith } from "../bundle/encrypt.ts";
import { checkStored, isDamage } from "./check.ts";
import { noteDamaged, noteVerified } from "./last_verified.ts";
import { type Ledger, readLedger, updateLedger } from "./ledger.ts";
import { type BackupName, parseBackupName } from "./names.ts";
import type { Env } from "./places.ts";
import type { BackupTarget, LedgerEntry, Verified } from "./types.ts";

/** A backup that lies in a target, with what the ledger knows of it. */
export interface StoredBackup extends BackupName {
  target: BackupTarget;
  bytes: number;
  /** Null where the ledger is lost. */
  did: string | null;
  entry: LedgerEntry | null;
}

/** All backups of a target, in the order of their names. */
export async function storedBackups(target: BackupTarget): Promise<StoredBackup[]> {
  const ledgers = new Map<string, Ledger | null>();
  const found: StoredBackup[] = [];
  for (const { name, bytes } of await target.list()) {
    const parsed = parseBackupName(name);
    if (parsed === null) continue;
    const { instance } = parsed;
    if (!ledgers.has(instance)) ledgers.set(instance, await readLedger(target, instance));
    const ledger = ledgers.get(instance);
    found.push({ ...parsed, target, bytes, did: ledger?.did ?? null, entry: ledger?.backups[name] ?? null });
  }
  return found;
}

/** `locked`: the key at hand does not open it, or there is neither key nor hash; `unreadable`: the target failed. */
export type CheckResult = { name: string; target: string } & (
  | { result: "sound"; verified: Verified; records: number | null; detail: null }
  | { result: "damaged" | "locked" | "unreadable"; verified: null; records: null; detail: string }
);

/** Reads one backup whole and notes in the ledger how it was found. Never throws for what is wrong with the backup. */
export async function checkBackup(
  env: Env,
  backup: StoredBackup,
  key: DecryptWith | null,
  now: () => number,
): Promise<CheckResult> {
  const { target, name, instance, entry } = backup;
  const at = { name, target: target.url };
  const taken_at = isoTime(backup.time);
  try {
    const { verified, bytes, sha256, manifest } = await checkStored(target, backup, entry, key);
    const did = manifest?.source_did ?? backup.did;
    const records = manifest?.record_count ?? entry?.records ?? null;
    const read_at = isoTime(now());
    const bundle_sha256 = manifest?.bundle_sha256 ?? entry?.bundle_sha256;
    if (did !== null && records !== null && bundle_sha256 !== undefined) {
      await updateLedger(env, target, { did, instance }, (backups) => {
        backups[name] = { bytes, sha256, records, bundle_sha256, taken_at, verified, read_at, damage: null };
      });
      noteVerified(env, did, { ...at, taken_at, verified, verified_at: read_at, records });
    }
    return { ...at, result: "sound", verified, records, detail: null };
  } catch (error) {
    if (!(error instanceof SplError)) throw error;
    const failed = { ...at, verified: null, records: null, detail: error.message };
    if (!isDamage(error))
      return { ...failed, result: error.code === "bundle_locked" ? "locked" : "unreadable" };
    if (backup.did !== null && entry !== null) {
      await updateLedger(env, target, { did: backup.did, instance }, (backups) => {
        backups[name] = { ...entry, verified: null, read_at: isoTime(now()), damage: error.message };
      });
    }
    noteDamaged(env, at);
    return { ...failed, result: "damaged" };
  }
}
