import { statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { parseBackupName } from "../lib/backup/names.ts";
import { type Choice, newestBackup } from "../lib/backup/newest.ts";
import { backupsFolder } from "../lib/backup/places.ts";
import type { BackupTarget } from "../lib/backup/types.ts";
import { fileError, SplError } from "../lib/base/errors.ts";
import { shellWord } from "../lib/base/text.ts";
import { backupTargets } from "./_backup.ts";
import { fileChunks } from "./_bundle_file.ts";
import type { Context } from "./_kit.ts";

/** A bundle that lies somewhere, as it lies there: it may be encrypted. */
export interface StoredBundle {
  name: string;
  bytes: number;
  chunks(): AsyncIterable<Uint8Array>;
}

/** Whether `from` names a place of backups, and no file or folder of this machine. */
export function isPlace(from: string): boolean {
  return from === "latest" || from.includes("://");
}

/**
 * The bundle that `from` names: a file, a backup in a bucket, or the newest backup of a folder, of a bucket's prefix or,
 * for `latest`, of the default folder.
 * @param choose which of several instances' backups, where it comes to that
 * @throws SplError usage, not_found, conflict, file_unreadable, and what S3 answers
 */
export async function storedBundle(
  ctx: Context,
  from: string,
  choose: () => Promise<Choice>,
): Promise<StoredBundle> {
  if (!isPlace(from)) {
    const path = resolve(ctx.cwd, from);
    const stats = statOf(path);
    if (!stats.isDirectory()) return { name: path, bytes: stats.size, chunks: () => fileChunks(path) };
  } else if (parseBackupName(basename(from)) !== null) {
    const [target] = await backupTargets(ctx, { to: dirname(from) });
    return oneOf(target!, basename(from));
  }
  const targets = await backupTargets(ctx, { to: from === "latest" ? undefined : from });
  const where = from === "latest" ? backupsFolder(ctx.env) : from;
  const { target, name, bytes } = await newestBackup(targets, where, await choose(), ctx.clock());
  return { name: `${target.url}/${name}`, bytes, chunks: () => target.read(name) };
}

async function oneOf(target: BackupTarget, name: string): Promise<StoredBundle> {
  const file = (await target.list()).find((each) => each.name === name);
  if (file) return { name: `${target.url}/${name}`, bytes: file.bytes, chunks: () => target.read(name) };
  throw new SplError("not_found", `there is no ${name} in ${target.url}`, {
    hint: `spl backup list --to ${shellWord(target.url)} shows what is there`,
  });
}

function statOf(path: string): { size: number; isDirectory(): boolean } {
  try {
    return statSync(path);
  } catch (error) {
    throw fileError(error, "read", path);
  }
}
