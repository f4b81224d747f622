import { mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { toHex, utf8 } from "../base/bytes.ts";
import { fileError, systemCode } from "../base/errors.ts";
import { dataFolder } from "../base/home.ts";
import { sha256 } from "../base/sha256.ts";
import { didTail } from "../identity/did.ts";
import { HomeLock } from "../instance/lock.ts";
import { FolderTarget } from "./folder_target.ts";
import type { BackupTarget } from "./types.ts";

export type Env = Record<string, string | undefined>;

export function backupsFolder(env: Env): string {
  return join(dataFolder(env), "backups");
}

/** Where an instance's backups go by default: outside its home, so that they outlive it. */
export function instanceFolder(env: Env, did: string): string {
  return join(backupsFolder(env), didTail(did));
}

/** Folders of all instances that were ever backed up from this machine, in the order of their names. */
export function knownFolders(env: Env): string[] {
  const root = backupsFolder(env);
  try {
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map(({ name }) => join(root, name))
      .sort();
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw fileError(error, "read", root);
  }
}

/**
 * A named target. A folder has to be there, so that a disk that is not mounted is not mistaken for its mount point.
 * @param to a folder, or `s3://bucket/prefix`
 * @throws SplError usage, not_found, file_unreadable, cleartext_refused
 */
export async function openTarget(to: string, cwd: string, env: Env): Promise<BackupTarget> {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(to)) return new FolderTarget(resolve(cwd, to));
  return new (await import("./s3_target.ts")).S3Target(to, env);
}

/** The default target of an instance; made when it is not there. */
export function openDefault(env: Env, did: string): BackupTarget {
  const folder = makePrivate(instanceFolder(env, did));
  return new FolderTarget(folder);
}

/**
 * The right to do `what` at a target, held by one process of this user at a time; null while another holds it. Kept
 * on this machine, since not every target can lock.
 */
export function lockTarget(env: Env, target: BackupTarget, what: "backup" | "ledger"): HomeLock | null {
  const folder = makePrivate(join(backupsFolder(env), ".locks"));
  const name = toHex(sha256.hash(utf8(target.url))).slice(0, 16);
  return HomeLock.tryTake({ lock: join(folder, `${name}.${what}`) });
}

export function makePrivate(folder: string): string {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  } catch (error) {
    throw fileError(error, "create", folder);
  }
}
