import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether this process may mount: that takes root. */
export const canMount = mayMount();

/** A disk of its own that can run full: a tmpfs at `path`. Unmounted at the end of its scope. */
export class TinyDisk implements Disposable {
  readonly #ballast: string;

  /** @throws Error where this process may not mount */
  constructor(
    readonly path: string,
    kib: number,
  ) {
    mkdirSync(path, { recursive: true });
    run("mount", "-t", "tmpfs", "-o", `size=${kib}k,mode=700`, "tmpfs", path);
    this.#ballast = join(path, "ballast");
  }

  /** Takes all of the free space but `leftKib`. */
  fill(leftKib = 0): void {
    const fd = openSync(this.#ballast, "a");
    const block = new Uint8Array(4096);
    try {
      while (this.freeKib > leftKib) writeSync(fd, block);
    } finally {
      closeSync(fd);
    }
  }

  /** Gives the space back that `fill` took. */
  relieve(): void {
    rmSync(this.#ballast, { force: true });
  }

  /** Makes the disk read-only, or writable again. */
  remount(mode: "ro" | "rw"): void {
    run("mount", "-o", `remount,${mode}`, this.path);
  }

  get freeKib(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return (bavail * bsize) / 1024;
  }

  [Symbol.dispose](): void {
    // Lazily: a process that a failed test has left behind must not keep the mount.
    run("umount", "-l", this.path);
  }
}

function mayMount(): boolean {
  const path = mkdtempSync(join(tmpdir(), "spl-probe-"));
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "tmpfs", path]).success;
  if (mounted) run("umount", path);
  rmSync(path, { recursive: true });
  return mounted;
}

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString().trim()}`);
}
