import { SplError } from "../base/errors.ts";

/** Names of backups sort by time within an instance and say enough without being opened. */

/** `<last 12 characters of the DID>-20261125T030000Z.tar.zst`, and `.age` where it is encrypted. */
const NAME = /^([0-9a-f]{12})-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.tar\.zst(\.age)?$/;

export interface BackupName {
  name: string;
  /** The last 12 characters of the instance's DID. */
  instance: string;
  /** Unix milliseconds, whole seconds. */
  time: number;
  encrypted: boolean;
}

/** What tells an instance's files from those of others in the same target. */
export function instanceTail(did: string): string {
  return did.slice(-12);
}

export function backupName(did: string, time: number, encrypted: boolean): string {
  const stamp = `${new Date(time).toISOString().slice(0, 19)}Z`.replaceAll(/[-:]/g, "");
  return `${instanceTail(did)}-${stamp}.tar.zst${encrypted ? ".age" : ""}`;
}

/** What a name says, or null for a file that is no backup. */
export function parseBackupName(name: string): BackupName | null {
  const [, instance, year, month, day, hour, minute, second, age] = NAME.exec(name) ?? [];
  if (instance === undefined) return null;
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time) ? null : { name, instance, time, encrypted: age !== undefined };
}

/** A part of the backups: every `total`-th in the order of their names, beginning with the `part`-th. */
export interface Subset {
  part: number;
  total: number;
}

/** @throws SplError usage unless the text is `n/t` with 1 ≤ n ≤ t */
export function parseSubset(text: string): Subset {
  const [, part, total] = /^(\d{1,4})\/(\d{1,4})$/.exec(text) ?? [];
  const subset = { part: Number(part), total: Number(total) };
  if (subset.part >= 1 && subset.part <= subset.total) return subset;
  throw new SplError("usage", `--subset ${JSON.stringify(text)} is no part of a whole`, {
    hint: "write it like --subset 1/7: the first of seven parts",
  });
}

export function inSubset<T>(sorted: readonly T[], { part, total }: Subset): T[] {
  return sorted.filter((_, at) => at % total === part - 1);
}

/** The backups of one instance among what lies in a target, in the order given. @param instance as `instanceTail` */
export function backupsOf(files: readonly { name: string }[], instance: string): BackupName[] {
  return files
    .map(({ name }) => parseBackupName(name))
    .filter((each) => each !== null)
    .filter((each) => each.instance === instance);
}
