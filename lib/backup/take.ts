import { toHex } from "../base/bytes.ts";
import { isAhead, isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";
import { shellWord } from "../base/text.ts";
import { type DecryptWith, type EncryptTo, encryptStream } from "../bundle/encrypt.ts";
import type { WrittenBundle } from "../bundle/types.ts";
import { checkStored, hashed, isDamage } from "./check.ts";
import { noteVerified } from "./last_verified.ts";
import { updateLedger } from "./ledger.ts";
import { backupName, backupsOf, instanceTail } from "./names.ts";
import type { Env } from "./places.ts";
import { type Retention, toPrune } from "./retention.ts";
import type { BackupTarget, LedgerEntry, StoredFile, Verified } from "./types.ts";

export interface BackupOptions {
  env: Env;
  encryption: EncryptTo | null;
  /** What opens it again, for reading back. A passphrase is its own key. */
  key: DecryptWith | null;
  retention: Retention;
  /** Unix milliseconds. */
  now: number;
  signal: AbortSignal;
  onBytes?: (bytes: number) => void;
}

/** Names are those of `spl backup -o json`. */
export interface BackupResult {
  target: string;
  name: string;
  did: string;
  records: number;
  threads: number;
  bytes: number;
  sha256: string;
  records_root: string;
  bundle_sha256: string;
  encrypted: boolean;
  verified: Verified;
  /** Names of the backups that were removed. */
  pruned: string[];
}

/**
 * Writes a bundle to the target, reads it back from there, notes it in the ledger and prunes. Whoever calls holds the
 * target's lock. A backup that does not read back as it was written is removed again.
 * @throws SplError verification_failed, and what source and target throw
 */
export async function takeBackup(
  { manifest, chunks }: WrittenBundle,
  target: BackupTarget,
  { env, encryption, key, retention, now, signal, onBytes }: BackupOptions,
): Promise<BackupResult> {
  const did = manifest.source_did;
  const instance = instanceTail(did);
  await target.clearTemporaries(`${instance}-`);
  const time = freeTime(await target.list(), instance, now);
  const name = backupName(did, time, encryption !== null);

  const hash = sha256.stream();
  let bytes = 0;
  const file = hashed(encryption ? encryptStream(chunks, encryption) : chunks, (chunk) => {
    hash.update(chunk);
    bytes += chunk.length;
    onBytes?.(bytes);
  });
  await target.write(name, file, signal);
  const written = { sha256: toHex(hash.digest()) };

  let verified: Verified;
  try {
    const read = await checkStored(target, { name, encrypted: encryption !== null }, written, key);
    if (read.manifest && read.manifest.bundle_sha256 !== manifest.bundle_sha256) {
      throw new SplError("verification_failed", `${name} is not the bundle that was exported`);
    }
    verified = read.verified;
  } catch (error) {
    if (!(error instanceof SplError) || !isDamage(error)) throw error;
    await target.remove(name);
    throw new SplError(
      "verification_failed",
      `the backup did not read back from ${target.url}: ${error.message}`,
      {
        hint: "it was removed; check that disk or server, or name another with --to",
        cause: error,
      },
    );
  }

  const entry: LedgerEntry = {
    bytes,
    ...written,
    records: manifest.record_count,
    bundle_sha256: manifest.bundle_sha256,
    taken_at: isoTime(time),
    verified,
    read_at: isoTime(now),
    damage: null,
  };
  try {
    await updateLedger(env, target, { did, instance }, (backups) => {
      backups[name] = entry;
    });
    noteVerified(env, did, {
      name,
      target: target.url,
      taken_at: entry.taken_at,
      verified,
      verified_at: entry.read_at!,
      records: entry.records,
    });
  } catch (error) {
    throw error instanceof SplError ? notNoted(error, name, target) : error;
  }
  return {
    target: target.url,
    name,
    did,
    records: manifest.record_count,
    threads: manifest.thread_count,
    bytes,
    ...written,
    records_root: manifest.records_root,
    bundle_sha256: manifest.bundle_sha256,
    encrypted: encryption !== null,
    verified,
    pruned: await prune(env, target, did, retention, name),
  };
}

/** A failure behind the backup, which is whole: what `error` says of what was changed holds for the ledger alone. */
function notNoted(error: SplError, name: string, { url }: BackupTarget): SplError {
  const message = `${name} is there and was read back, but not noted: ${error.message}`;
  if (error.code !== "disk_full") return error.retold({ message });
  return error.retold({ message, hint: `free some space, then: spl backup verify --to ${shellWord(url)}` });
}

/** A time for the name: behind the instance's latest backup, unless the clock was wrong then. Whole seconds. */
function freeTime(files: readonly StoredFile[], instance: string, now: number): number {
  const times = backupsOf(files, instance)
    .filter(({ time }) => !isAhead(time, now))
    .map(({ time }) => time + 1000);
  return Math.max(Math.floor(now / 1000) * 1000, ...times);
}

/**
 * Removes what the rules do not keep, of this instance only. Damaged backups take no place of a sound one.
 * @param lastVerified the backup that was just read back
 */
async function prune(
  env: Env,
  target: BackupTarget,
  did: string,
  retention: Retention,
  lastVerified: string,
): Promise<string[]> {
  const instance = instanceTail(did);
  const stored = backupsOf(await target.list(), instance);
  const { backups: known } = await updateLedger(env, target, { did, instance }, (backups) => {
    const there = new Set(stored.map(({ name }) => name));
    for (const name of Object.keys(backups)) if (!there.has(name)) delete backups[name];
  });
  const sound = stored.filter(({ name }) => known[name]?.damage == null);
  const removed: string[] = [];
  for (const { name } of toPrune(sound, retention, lastVerified)) {
    await target.remove(name);
    removed.push(name);
  }
  if (removed.length > 0) {
    await updateLedger(env, target, { did, instance }, (backups) => {
      for (const name of removed) delete backups[name];
    });
  }
  return removed;
}
