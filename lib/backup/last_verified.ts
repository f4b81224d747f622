import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { writeFileAtomic } from "../base/atomic_file.ts";
import { utf8 } from "../base/bytes.ts";
import { isAhead } from "../base/clock.ts";
import { fileError, systemCode } from "../base/errors.ts";
import { exists } from "../base/exists.ts";
import { type Result, warn } from "../instance/checks/result.ts";
import { type Upkeep, upkeepRow } from "../instance/checks/upkeep.ts";
import { type Env, instanceFolder, knownFolders, makePrivate } from "./places.ts";
import type { Verified } from "./types.ts";

/** Which backup of an instance was the newest that proved sound, wherever it lies. Kept on this machine for `spl doctor`. */
export interface LastVerified {
  name: string;
  target: string;
  /** ISO 8601, UTC. */
  taken_at: string;
  verified: Verified;
  verified_at: string;
  records: number;
  /** It proved damaged since, and nothing else is known to be sound. */
  damaged?: true;
}

const FILE = "last_verified.json";
const UPKEEP: Upkeep = {
  command: "spl backup",
  days: 7,
  missing: "no backup has been verified from this machine",
};

/** Notes a backup that proved sound, unless a newer one did; what a wrong clock dated ahead is none. */
export function noteVerified(env: Env, did: string, backup: LastVerified): void {
  const folder = makePrivate(instanceFolder(env, did));
  const before = readSound(folder);
  if (
    before !== null &&
    before.taken_at > backup.taken_at &&
    !isAhead(Date.parse(before.taken_at), Date.parse(backup.verified_at))
  )
    return;
  writeFileAtomic(join(folder, FILE), utf8(`${JSON.stringify(backup)}\n`));
}

/** Counts a backup that proved damaged no more, whose it is: that the ledger would say, which may be lost as well. */
export function noteDamaged(env: Env, { name, target }: { name: string; target: string }): void {
  for (const folder of knownFolders(env)) {
    const last = readLast(folder);
    if (last?.name !== name || last.target !== target) continue;
    writeFileAtomic(join(folder, FILE), utf8(`${JSON.stringify({ ...last, damaged: true })}\n`));
  }
}

/** The row of `spl doctor`. */
export function backupHealth(env: Env, did: string | null, since: number | null, now: number): Result {
  const folders = did === null ? knownFolders(env) : [instanceFolder(env, did)];
  const known = folders
    .map(readLast)
    .filter((each) => each !== null)
    .sort((a, b) => (a.taken_at < b.taken_at ? 1 : -1));
  const last = known.find(({ damaged }) => !damaged) ?? known[0] ?? null;
  const where = last && `${last.target}/${last.name}`;
  if (last && (last.damaged || isGone(last))) {
    const lost = last.damaged ? "damaged" : "gone";
    return warn(`the last verified backup is ${lost}: ${where}`, did === null ? null : UPKEEP.command);
  }
  return upkeepRow(
    UPKEEP,
    { did, since, now },
    last?.taken_at ?? null,
    (age) => `${where}, ${age} old, verified: ${last!.verified}`,
  );
}

/** The newest backup of an instance that proved sound, wherever it lies; null where none is known here. */
export function lastVerified(env: Env, did: string): LastVerified | null {
  return readSound(instanceFolder(env, did));
}

/** Whether it lies no more where it was put. Nothing is asked over the network. */
export function isGone({ target, name }: LastVerified): boolean {
  return isAbsolute(target) && !exists(join(target, name));
}

function readSound(folder: string): LastVerified | null {
  const last = readLast(folder);
  return last?.damaged ? null : last;
}

function readLast(folder: string): LastVerified | null {
  const path = join(folder, FILE);
  try {
    const value = JSON.parse(readFileSync(path, "utf8")) as LastVerified;
    return typeof value.name === "string" && !Number.isNaN(Date.parse(value.taken_at)) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError || systemCode(error) === "ENOENT") return null;
    throw fileError(error, "read", path);
  }
}
