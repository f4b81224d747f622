import { mkdirSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { fileError, SplError, systemCode } from "../base/errors.ts";
import { HomeLock } from "../instance/lock.ts";

export type Env = Record<string, string | undefined>;

/** `$XDG_DATA_HOME/syncropel`, else `~/.local/share/…`. A relative XDG path is ignored, as its standard asks. */
function dataFolder(env: Env): string {
  const xdg = env.XDG_DATA_HOME;
  const base = xdg !== undefined && isAbsolute(xdg) ? xdg : join(env.HOME || homedir(), ".local", "share");
  return join(base, "syncropel");
}

export function drillsFolder(env: Env): string {
  return join(dataFolder(env), "drills");
}

/** Where the receipts of an instance's drills are kept: outside its home, so that they outlive it. */
export function receiptsFolder(env: Env, did: string): string {
  return join(drillsFolder(env), didTail(did));
}

export function makePrivate(folder: string): string {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  } catch (error) {
    throw fileError(error, "create", folder);
  }
}

/** Names of what is in a folder, sorted; none where there is no folder. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw fileError(error, "read", folder);
  }
}

/** The right to drill, held by one process of this user at a time. @throws SplError drill_running */
export function lockDrills(env: Env): HomeLock {
  const lock = HomeLock.tryTake({ lock: join(makePrivate(drillsFolder(env)), ".lock") });
  if (lock !== null) return lock;
  throw new SplError("drill_running", "another drill is running", { hint: "wait until it has ended" });
}

/** Backups as `spl backup` names them: they sort by their time. */
const BACKUP = /^[0-9a-f]{12}-\d{8}T\d{6}Z\.tar\.zst(?:\.age)?$/;

/**
 * The newest backup in the default folder.
 * @param whose asked only where backups of several instances are there
 * @throws SplError not_found, and what `whose` throws
 */
export async function latestBackup(env: Env, whose: () => Promise<string>): Promise<string> {
  const root = join(dataFolder(env), "backups");
  const backups = (instance: string): string[] =>
    namesIn(join(root, instance))
      .filter((name) => BACKUP.test(name))
      .map((name) => join(root, instance, name));
  const folders = namesIn(root).filter((name) => !name.startsWith(".") && backups(name).length > 0);
  const [only] = folders;
  const instance = folders.length === 1 ? only! : folders.length > 1 ? didTail(await whose()) : null;
  const newest = instance === null ? undefined : backups(instance).at(-1);
  if (newest !== undefined) return newest;
  throw new SplError(
    "not_found",
    `there is no backup in ${instance === null ? root : join(root, instance)}`,
    {
      hint: "name a bundle with --from",
    },
  );
}

function didTail(did: string): string {
  return did.split(":").at(-1)!;
}
