import { readFileSync } from "node:fs";

/** Instances that drills run, or have left, whose TMPDIR is this folder: a line each, the process's number first. */
export function scratchInstances(scratch: string): string[] {
  const { stdout } = Bun.spawnSync(["pgrep", "-fa", "--", "--until-eof"], { stdout: "pipe" });
  return stdout
    .toString()
    .split("\n")
    .filter((line) => {
      const pid = Number(line.split(" ")[0]);
      try {
        return pid > 0 && readFileSync(`/proc/${pid}/environ`, "utf8").includes(scratch);
      } catch {
        return false;
      }
    });
}
