import { readFileSync, rmSync } from "node:fs";
import { syncDirectory, writeFileAtomic } from "../lib/base/atomic_file.ts";
import { utf8 } from "../lib/base/bytes.ts";
import { exists } from "../lib/base/exists.ts";
import type { HomePaths } from "../lib/base/home.ts";
import type { Nonces } from "../lib/federation/http_signature.ts";

/** Signed requests outlive a restart by a minute, and so does the memory of them where the daemon could write it down. */

/** What the daemon before wrote; good once. Null after one that was killed. */
export function takeNonces({ nonces, run }: HomePaths): Nonces | null {
  if (!exists(nonces)) return null;
  const text = readFileSync(nonces, "utf8");
  rmSync(nonces);
  // Were it still there after a power cut, it would be missing what is let in from now on.
  syncDirectory(run);
  try {
    return JSON.parse(text) as Nonces;
  } catch {
    return null;
  }
}

/** Also where there are none: that is what lets the request in that wakes an instance, although it was signed before. */
export function keepNonces({ nonces }: HomePaths, remembered: Nonces): void {
  try {
    writeFileAtomic(nonces, utf8(JSON.stringify(remembered)));
  } catch {
    // Without room on the disk the next daemon starts as after one that was killed.
  }
}
