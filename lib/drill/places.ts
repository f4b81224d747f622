import { join } from "node:path";
import { type Env, makePrivate } from "../backup/places.ts";
import { SplError } from "../base/errors.ts";
import { dataFolder } from "../base/home.ts";
import { didTail } from "../identity/did.ts";
import { HomeLock } from "../instance/lock.ts";

export function drillsFolder(env: Env): string {
  return join(dataFolder(env), "drills");
}

/** Where the receipts of an instance's drills are kept: outside its home, so that they outlive it. */
export function receiptsFolder(env: Env, did: string): string {
  return join(drillsFolder(env), didTail(did));
}

/** The right to drill, held by one process of this user at a time. @throws SplError drill_running */
export function lockDrills(env: Env): HomeLock {
  const lock = HomeLock.tryTake({ lock: join(makePrivate(drillsFolder(env)), ".lock") });
  if (lock !== null) return lock;
  throw new SplError("drill_running", "another drill is running", { hint: "wait until it has ended" });
}
