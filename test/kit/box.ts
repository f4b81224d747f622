import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { homePaths } from "../../lib/base/home.ts";
import { type RunResult, runSpl, ScratchHome } from "./spl.ts";

/** Who an instance is and what it holds, of what its status tells. */
export interface Held {
  instance_did: string;
  epoch: number;
  records: number;
  threads: number;
  digest: string;
}

export function heldOf({ instance_did, epoch, records, threads, digest }: Held): Held {
  return { instance_did, epoch, records, threads, digest };
}

/** A machine of its own: a home, and the compiled `spl` in it. Its daemon is stopped and its files go with its scope. */
export class Box implements AsyncDisposable {
  readonly home = new ScratchHome();
  #running = false;

  /** A box whose daemon answers on a free port. */
  static async serving(...flags: string[]): Promise<Box> {
    const box = new Box();
    await box.serve(...flags);
    return box;
  }

  /** On a free port unless the flags name one. */
  async serve(...flags: string[]): Promise<void> {
    const port = flags.includes("--port") ? [] : ["--port", "0"];
    await this.ok("serve", "--daemon", "--isolated", ...port, ...flags);
    this.#running = true;
  }

  /** A box whose daemon speaks with the others on this machine. */
  static async joining(...flags: string[]): Promise<Box> {
    const box = new Box();
    await box.join(...flags);
    return box;
  }

  /** Serves as `joining` says. */
  async join(...flags: string[]): Promise<void> {
    const { home, config } = homePaths(this.home.env.SYNCROPEL_HOME!);
    mkdirSync(home, { recursive: true });
    if (!existsSync(config)) writeFileSync(config, '[federation]\nallow_networks = ["127.0.0.0/8"]\n');
    await this.ok("serve", "--daemon", "--port", "0", ...flags);
    this.#running = true;
  }

  async stop(): Promise<void> {
    await this.ok("serve", "--stop");
    this.#running = false;
  }

  file(name: string): string {
    return join(this.home.path, name);
  }

  spl(args: readonly string[], stdin?: string | Uint8Array): Promise<RunResult> {
    return runSpl(args, { home: this.home, ...(stdin !== undefined && { stdin }) });
  }

  /** Standard output of a command that has to succeed. */
  async ok(...args: string[]): Promise<string> {
    const { stdout, stderr, status } = await this.spl(args);
    if (status !== 0) throw new Error(`spl ${args.join(" ")} ended with ${status}: ${stderr.trim()}`);
    return stdout;
  }

  /** The result of a command as JSON. */
  async json<T = Record<string, unknown>>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, "-o", "json")) as T;
  }

  /** Emits one object a line. */
  async emit(lines: Iterable<object>): Promise<void> {
    const path = this.file("emit.ndjson");
    rmSync(path, { force: true });
    const sink = Bun.file(path).writer();
    for (const line of lines) sink.write(`${JSON.stringify(line)}\n`);
    await sink.end();
    await this.ok("emit", path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running) await this.spl(["serve", "--stop"]);
    this.home[Symbol.dispose]();
  }
}
