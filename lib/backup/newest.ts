import { isAhead } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { type BackupName, instanceTail, parseBackupName } from "./names.ts";
import type { BackupTarget } from "./types.ts";

export interface NewestBackup extends BackupName {
  target: BackupTarget;
  bytes: number;
}

/** Whose backup is meant, and what to type where that is not known or there is none. */
export interface Choice {
  /** Null takes the only instance that has backups there. */
  did: string | null;
  /** Where several have. */
  several: string;
  /** Where there is no backup. */
  none: string;
}

/**
 * The newest backup of one instance, by its name; what a wrong clock dated ahead comes behind all others.
 * @param where what the targets are together, to tell people
 * @param now Unix milliseconds
 * @throws SplError not_found; conflict where it takes a DID to choose; what the targets throw
 */
export async function newestBackup(
  targets: readonly BackupTarget[],
  where: string,
  { did, several, none }: Choice,
  now: number,
): Promise<NewestBackup> {
  const found: NewestBackup[] = [];
  for (const target of targets) {
    for (const { name, bytes } of await target.list()) {
      const parsed = parseBackupName(name);
      if (parsed === null || (did !== null && parsed.instance !== instanceTail(did))) continue;
      found.push({ ...parsed, target, bytes });
    }
  }
  const ahead = ({ time }: BackupName) => Number(isAhead(time, now));
  const [newest] = found.sort((a, b) => ahead(a) - ahead(b) || b.time - a.time);
  if (newest === undefined) {
    const whose = did === null ? "" : ` of ${did}`;
    throw new SplError("not_found", `there is no backup${whose} in ${where}`, { hint: none });
  }
  if (found.some(({ instance }) => instance !== newest.instance)) {
    throw new SplError("conflict", `there are backups of several instances in ${where}`, { hint: several });
  }
  return newest;
}
