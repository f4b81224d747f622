import type { Status } from "../../lib/api/wire.ts";
import { Daemon, type DaemonOptions } from "./daemon.ts";
import { type RunResult, runSpl, ScratchHome } from "./spl.ts";
import { until } from "./until.ts";

/** A machine whose instance connects to others on this one. It is killed and removed at the end of its scope. */
export class Machine implements AsyncDisposable {
  readonly home = new ScratchHome();
  #daemon: Daemon | null = null;

  /** @param config further lines of the home's `config.toml` */
  static async serving(config = "", options: DaemonOptions = {}): Promise<Machine> {
    const machine = new Machine();
    await machine.serve(config, options);
    return machine;
  }

  async serve(config = "", options: DaemonOptions = {}): Promise<void> {
    const lines = `${config}\n[federation]\nallow_networks = ["127.0.0.0/8"]\nwatch_s = 1\n`;
    this.#daemon = await Daemon.start(this.home, { config: lines, ...options });
  }

  get daemon(): Daemon {
    return this.#daemon!;
  }

  get url(): string {
    return `http://127.0.0.1:${this.daemon.port}`;
  }

  spl(...args: string[]): Promise<RunResult> {
    return runSpl(args, { home: this.home });
  }

  /** Standard output of a command that has to succeed. */
  async ok(...args: string[]): Promise<string> {
    const { stdout, stderr, status } = await this.spl(...args);
    if (status !== 0) throw new Error(`spl ${args.join(" ")} ended with ${status}: ${stderr.trim()}`);
    return stdout;
  }

  status(): Promise<Status> {
    return this.daemon.json<Status>("/v1/status");
  }

  /** Its status, as soon as it fits. */
  until(fits: (status: Status) => boolean): Promise<Status> {
    return until(() => this.status(), fits);
  }

  async stop(): Promise<void> {
    await this.daemon.end("SIGTERM");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.[Symbol.asyncDispose]();
    this.home[Symbol.dispose]();
  }
}
