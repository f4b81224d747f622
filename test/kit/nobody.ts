import type { Box } from "./box.ts";
import { type RunResult, splBinary } from "./spl.ts";

/** Only root can become another user. */
export const canBeNobody = process.getuid?.() === 0 && Bun.which("setpriv") !== null;

/** The user id of nobody. */
export const NOBODY = 65534;

/**
 * Runs `spl` on a box's home as an unprivileged user, who has settings of its own: root may read and write everything,
 * so that file permissions mean nothing to it. The program is handed over open, as its folder may be closed to nobody.
 */
export function asNobody(box: Box, ...args: string[]): RunResult {
  const line = `exec 3<"$1"; shift; exec setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups /proc/self/fd/3 "$@"`;
  const child = Bun.spawnSync(["bash", "-c", line, "bash", splBinary(), ...args], {
    env: { ...box.home.env, XDG_CONFIG_HOME: "/nonexistent" },
    cwd: "/",
  });
  return { stdout: child.stdout.toString(), stderr: child.stderr.toString(), status: child.exitCode };
}
