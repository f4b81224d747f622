import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The compiled program that the tests run, as users do. */
export const SPL = join(import.meta.dir, "..", "..", "dist", "spl");

/** A home folder with nothing in it, and an environment that points there. Removed at the end of its scope. */
export class ScratchHome implements Disposable {
  /** Short, since Unix socket paths are limited to 107 bytes. */
  readonly path = mkdtempSync(join(tmpdir(), "spl-"));
  readonly env: Record<string, string> = {
    PATH: process.env.PATH ?? "/usr/bin:/bin",
    LANG: "C.UTF-8",
    HOME: this.path,
    SYNCROPEL_HOME: join(this.path, "syncro"),
    XDG_CONFIG_HOME: join(this.path, "config"),
    XDG_DATA_HOME: join(this.path, "data"),
  };

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A home with the same instance in it as `original`, which no daemon may be using; `home` has no instance yet. */
export function twinOf(original: ScratchHome, home = new ScratchHome()): ScratchHome {
  cpSync(original.env.SYNCROPEL_HOME!, home.env.SYNCROPEL_HOME!, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !path.endsWith(".sock"),
  });
  return home;
}

export interface RunOptions {
  /** Where the command lives; a scratch home of its own by default. */
  home?: ScratchHome;
  /** Added to the home's environment; nothing of the tests' own environment but PATH is there. */
  env?: Record<string, string>;
  stdin?: string | Uint8Array;
  /** The home's folder by default. */
  cwd?: string;
  /** A command line that `spl` is appended to: `strace …`, `prlimit …`. */
  under?: readonly string[];
}

export interface RunResult {
  stdout: string;
  stderr: string;
  status: number;
}

/** Runs `spl` with the arguments until it ends. Neither stream is a terminal. */
export async function runSpl(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  if (options.home === undefined) {
    using home = new ScratchHome();
    return await runSpl(args, { ...options, home });
  }
  const { home, env, stdin, cwd = home.path } = options;
  return runCommand([...(options.under ?? []), splBinary(), ...args], {
    cwd,
    env: { ...home.env, ...env },
    ...(stdin !== undefined && { stdin }),
  });
}

/** Runs any program until it ends, in exactly this environment. Neither stream is a terminal. */
export async function runCommand(
  command: readonly string[],
  options: { cwd?: string; env: Record<string, string>; stdin?: string | Uint8Array },
): Promise<RunResult> {
  const child = Bun.spawn([...command], {
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    env: options.env,
    stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { stdout, stderr, status };
}

/** The path of the compiled program, or an error that says how to get it. */
export function splBinary(): string {
  if (!existsSync(SPL)) throw new Error("dist/spl is missing; run `bun run build` first");
  return SPL;
}

/** The part of a token that nobody may learn; it may hold underscores itself. */
export function secretOf(token: string): string {
  return token.split("_").slice(3).join("_");
}
