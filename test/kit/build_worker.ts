import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";

/** Makes `dist/worker.js`: the hosting service for Workers, in one file. `bun test/kit/build_worker.ts` makes it by hand. */

const root = join(import.meta.dir, "..", "..");

/** @returns its path */
export function buildWorker(): string {
  const made = join(root, "dist", "worker.js");
  const scratch = `${made}.${process.pid}`;
  mkdirSync(join(root, "dist"), { recursive: true });
  // Workers take from the package what browsers take: modules in plain JavaScript for what Bun has built in.
  const command = ["build", "--target=browser", "--format=esm", "server/hosting/worker.ts"];
  const { exitCode } = Bun.spawnSync([process.execPath, ...command, "--outfile", scratch], {
    cwd: root,
    stdout: "ignore",
    stderr: "inherit",
  });
  if (exitCode !== 0) throw new Error("the Worker cannot be built");
  renameSync(scratch, made);
  return made;
}

if (import.meta.main) console.log(buildWorker());
