import { isoTime } from "../base/clock.ts";
import { exists } from "../base/exists.ts";
import { FolderTarget } from "./folder_target.ts";
import { isGone, lastVerified } from "./last_verified.ts";
import { parseBackupName } from "./names.ts";
import { type Env, instanceFolder } from "./places.ts";
import { storedBackups } from "./stored.ts";
import type { Verified } from "./types.ts";

/** A backup as it is shown to who asks the instance. Times are ISO 8601, UTC. */
export interface KnownBackup {
  name: string;
  /** A folder, or `s3://bucket/prefix`. */
  target: string;
  time: string;
  /** Null where it lies elsewhere: nothing is asked over the network. */
  bytes: number | null;
  records: number | null;
  encrypted: boolean;
  verified: Verified | null;
  read_at: string | null;
  damage: string | null;
}

/**
 * The backups of an instance in this machine's default folder, as its ledger tells, and the last one that proved sound
 * wherever it lies; newest first.
 * @throws SplError file_unreadable, verification_failed for a ledger that is none
 */
export async function knownBackups(env: Env, did: string): Promise<KnownBackup[]> {
  const folder = instanceFolder(env, did);
  const found: KnownBackup[] = [];
  if (exists(folder)) {
    for (const { name, time, bytes, encrypted, target, entry } of await storedBackups(
      new FolderTarget(folder),
    )) {
      const { records = null, verified = null, read_at = null, damage = null } = entry ?? {};
      found.push({
        name,
        target: target.url,
        time: isoTime(time),
        bytes,
        records,
        encrypted,
        verified,
        read_at,
        damage,
      });
    }
  }
  const last = lastVerified(env, did);
  if (last && !found.some(({ name, target }) => name === last.name && target === last.target)) {
    const { name, target, taken_at, records, verified, verified_at } = last;
    const encrypted = parseBackupName(name)?.encrypted ?? false;
    if (!isGone(last))
      found.push({
        name,
        target,
        time: taken_at,
        bytes: null,
        records,
        encrypted,
        verified,
        read_at: verified_at,
        damage: null,
      });
  }
  return found.sort((a, b) => (a.time < b.time ? 1 : -1));
}
