import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** System calls that change what a disk holds, or make sure that it does. */
export const DISK_CALLS =
  "write,pwrite64,writev,pwritev,fsync,fdatasync,ftruncate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat";

/** One call as strace saw it. */
export interface Call {
  thread: number;
  name: string;
  /** The whole line. */
  text: string;
}

/**
 * strace on a running process and all its threads: to watch it, or to let its system calls fail. `when=N` of an
 * injection counts for each thread and each call on its own.
 */
export class Strace implements AsyncDisposable {
  readonly #process: Bun.Subprocess;
  readonly #log: string;

  private constructor(process: Bun.Subprocess, log: string) {
    this.#process = process;
    this.#log = log;
  }

  /** Resolves once every thread is traced. */
  static async attach(pid: number, ...options: string[]): Promise<Strace> {
    const log = join(tmpdir(), `spl-strace-${crypto.randomUUID()}`);
    const child = Bun.spawn(["strace", "-f", "-o", log, ...options, "-p", String(pid)], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const attached = Promise.withResolvers<Strace>();
    hear(child.stderr, (said) => {
      if (said.includes(" attached")) attached.resolve(new Strace(child, log));
    }).then((said) => attached.reject(new Error(`strace: ${said}`)));
    return attached.promise;
  }

  /** Lets go of the process, and tells what was seen in the order of the calls' beginnings. */
  async detach(): Promise<Call[]> {
    this.#process.kill("SIGINT");
    await this.#process.exited;
    return callsIn(this.#log);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGINT");
    await this.#process.exited;
    rmSync(this.#log, { force: true });
  }
}

/** Reads to the end, since strace would die of a closed stderr, and tells all that was said so far at each chunk. */
async function hear(stream: ReadableStream<Uint8Array>, heard: (said: string) => void): Promise<string> {
  let said = "";
  for await (const chunk of stream) {
    said += new TextDecoder().decode(chunk);
    heard(said);
  }
  return said;
}

/** The calls in a log that strace wrote with `-f`, in the order of their beginnings. */
export function callsIn(log: string): Call[] {
  const lines = readFileSync(log, "utf8").split("\n");
  return lines.flatMap((line) => {
    const [, thread, name] = /^(\d+) +([a-z0-9_]+)\(/.exec(line) ?? [];
    return name === undefined ? [] : [{ thread: Number(thread), name, text: line }];
  });
}

/** Where to strike: `name:n` for the n-th such call of a thread, without the wake-ups between threads. */
export function strikePoints(calls: Call[]): string[] {
  const counts = new Map<string, number>();
  const points = new Set<string>();
  for (const { thread, name, text } of calls) {
    if (/^\d+ +write\(\d+, "\\1\\0\\0\\0\\0\\0\\0\\0", 8\)/.test(text)) continue;
    const n = (counts.get(`${thread} ${name}`) ?? 0) + 1;
    counts.set(`${thread} ${name}`, n);
    points.add(`${name}:${n}`);
  }
  return [...points];
}

/** Options that kill the process at one of its `strikePoints`. */
export function killingAt(point: string): string[] {
  const [name, n] = point.split(":");
  return injecting(name!, `signal=SIGKILL:when=${n}`);
}

/** Options that trace nothing but `calls`, and do to them what `fault` says: `error=EIO`, `signal=SIGKILL:when=3`. */
export function injecting(calls: string, fault: string): string[] {
  return ["-e", `trace=${calls}`, "-e", `inject=${calls}:${fault}`];
}
