import { lstatSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Env } from "../backup/places.ts";
import { fileError, SplError } from "../base/errors.ts";
import { exists } from "../base/exists.ts";
import { homePaths } from "../base/home.ts";
import { namesIn } from "../base/names_in.ts";
import { HomeLock } from "../instance/lock.ts";

const DRILL = "spl-drill-";
/** What `--keep` asks for is no leftover. */
const KEPT = "spl-kept-";

/** A folder of this drill alone (0700) under `$TMPDIR`. Its lock tells later drills whether it still runs. */
export class Scratch {
  readonly #lock: HomeLock;

  private constructor(
    readonly path: string,
    readonly kept: boolean,
  ) {
    this.#lock = HomeLock.tryTake({ lock: lockOf(path) })!;
  }

  /** @throws SplError file_unreadable, disk_full */
  static make(env: Env, kept: boolean): Scratch {
    const root = rootOf(env);
    let path: string;
    try {
      path = mkdtempSync(join(root, kept ? KEPT : DRILL));
    } catch (error) {
      throw fileError(error, "make a folder in", root);
    }
    return new Scratch(path, kept);
  }

  get home(): string {
    return homeOf(this.path);
  }

  get bundle(): string {
    return join(this.path, "bundle");
  }

  /** @throws SplError disk_full unless so many bytes are free */
  requireSpace(bytes: number): void {
    const { bavail, bsize } = statfsSync(this.path);
    if (bavail * bsize >= bytes) return;
    throw new SplError(
      "disk_full",
      `${this.path} has ${mib(bavail * bsize)} free, this drill takes ${mib(bytes)}`,
      { hint: "free some space, or set TMPDIR to a larger disk; nothing was changed" },
    );
  }

  remove(): void {
    this.#lock.release();
    if (!this.kept) rmSync(this.path, { recursive: true, force: true });
  }
}

/** Removes what drills that were killed have left. Another's folder, and one that is in use, stays. */
export function clearScratch(env: Env): void {
  const root = rootOf(env);
  for (const name of namesIn(root)) {
    const path = join(root, name);
    if (!name.startsWith(DRILL) || !isOwn(path) || !exists(lockOf(path))) continue;
    if (isFree(lockOf(path)) && isFree(homePaths(homeOf(path)).lock)) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

/** Absolute, since the scratch instance runs elsewhere. */
function rootOf(env: Env): string {
  return resolve(env.TMPDIR || tmpdir());
}

function isOwn(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && stats.uid === process.getuid?.();
}

/** Whether no process holds this lock, or none was ever made. */
function isFree(lock: string): boolean {
  if (!exists(lock)) return true;
  const taken = HomeLock.tryTake({ lock });
  taken?.release();
  return taken !== null;
}

function lockOf(scratch: string): string {
  return join(scratch, "lock");
}

/** Short, since the path of a socket is limited. */
function homeOf(scratch: string): string {
  return join(scratch, "home");
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024)} MiB`;
}
