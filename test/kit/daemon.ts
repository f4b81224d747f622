import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type HomePaths, homePaths } from "../../lib/base/home.ts";
import { type ScratchHome, splBinary } from "./spl.ts";

/** An exit status as a shell would say it: 128 and the signal's number for a process that a signal ended. */
const SIGNAL_NUMBERS: Record<string, number> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

export interface DaemonOptions {
  /** A command line that `spl serve` is appended to: `strace …`, `prlimit …`. */
  under?: readonly string[];
  env?: Record<string, string>;
  flags?: readonly string[];
  /** Any free one by default. */
  port?: number;
  /** Text of the home's `config.toml`; it then connects to others. */
  config?: string;
}

/** `spl serve` as a process in the hands of a test. It is killed at the end of its scope. */
export class Daemon implements AsyncDisposable {
  readonly paths: HomePaths;

  private constructor(
    readonly home: ScratchHome,
    readonly process: Bun.Subprocess<"ignore", "pipe", "pipe">,
    readonly pid: number,
    readonly port: number,
  ) {
    this.paths = homePaths(home.env.SYNCROPEL_HOME!);
  }

  /**
   * Resolves once it answers.
   * @throws Error with what it said on stderr when it ends before
   */
  static async start(home: ScratchHome, options: DaemonOptions = {}): Promise<Daemon> {
    const child = spawnDaemon(home, options);
    const line = await firstLine(child.stdout);
    if (line === null) {
      const [stderr] = await Promise.all([child.stderr.text(), child.exited]);
      throw new Error(stderr);
    }
    const { pid, port } = JSON.parse(line) as { pid: number; port: number };
    return new Daemon(home, child, pid, port);
  }

  /** A request over its Unix socket. */
  fetch(path: string, init: BunFetchRequestInit = {}): Promise<Response> {
    return fetch(`http://localhost${path}`, { ...init, unix: this.paths.socket });
  }

  /** A request over TCP, from this machine. */
  tcp(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, init);
  }

  /** A request with a JSON body over its Unix socket. */
  post(path: string, body: object): Promise<Response> {
    const headers = { "content-type": "application/json" };
    return this.fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  }

  /** The memory that it uses now, in MiB. */
  get residentMiB(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) / 1024;
  }

  async json<T = Record<string, unknown>>(path: string): Promise<T> {
    return (await (await this.fetch(path)).json()) as T;
  }

  /** Emits one record. */
  emit(emission: object): Promise<Response> {
    return this.post("/v1/records", emission);
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** Its exit status, once it has ended. */
  async ended(): Promise<number> {
    await this.process.exited;
    return statusOf(this.process);
  }

  /** Sends a signal and waits for the end. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number> {
    if (this.running) process.kill(this.pid, signal);
    return this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL").catch(() => undefined);
  }
}

/** `spl serve` that may or may not come up. */
export function spawnDaemon(
  home: ScratchHome,
  { under = [], env = {}, flags = [], port = 0, config }: DaemonOptions = {},
): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  if (config !== undefined) {
    const { home: folder, config: path } = homePaths(home.env.SYNCROPEL_HOME!);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(path, config);
  }
  const isolated = config === undefined ? ["--isolated"] : [];
  const serve = [splBinary(), "serve", ...isolated, "--port", `${port}`, "--output", "json", ...flags];
  return Bun.spawn([...under, ...serve], {
    cwd: home.path,
    env: { ...home.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

export function statusOf({ exitCode, signalCode }: Bun.Subprocess): number {
  return exitCode ?? 128 + (SIGNAL_NUMBERS[signalCode ?? ""] ?? 0);
}

/** The first line, or null when the stream ends before one is complete. */
export async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string | null> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  try {
    for (let text = ""; ; ) {
      const { done, value } = await reader.read();
      if (done) return null;
      text += decoder.decode(value, { stream: true });
      if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
    }
  } finally {
    reader.releaseLock();
  }
}
