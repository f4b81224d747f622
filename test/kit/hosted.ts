import { Database } from "bun:sqlite";
import { Box } from "./box.ts";
import { Daemon } from "./daemon.ts";
import { ScratchHome } from "./spl.ts";

/** As a hoster would make it. */
export const BOOTSTRAP = `spl_boot_hosted_${"Zm9v".repeat(10)}abc`;

/** An instance elsewhere, reached over TCP only, whose hoster has given it a bootstrap token. */
export class Hosted implements AsyncDisposable {
  readonly home = new ScratchHome();
  #daemon!: Daemon;
  #port = 0;

  static async start(): Promise<Hosted> {
    const hosted = new Hosted();
    await hosted.#run();
    return hosted;
  }

  /** Always at the same address. */
  async #run(): Promise<void> {
    const env = { SPL_BOOTSTRAP_TOKEN: BOOTSTRAP };
    this.#daemon = await Daemon.start(this.home, { env, port: this.#port });
    this.#port = this.#daemon.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get daemon(): Daemon {
    return this.#daemon;
  }

  /** Changes its store behind its back: what only time could do otherwise. */
  async whileStopped(statement: string): Promise<void> {
    await this.#daemon.end("SIGTERM");
    using db = new Database(this.#daemon.paths.db);
    db.run(statement);
    db.close();
    await this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
    this.home[Symbol.dispose]();
  }
}

/** A machine whose shell has `export SPL_SERVE_URL=…`. */
export function boxAt(url: string): Box {
  const box = new Box();
  box.home.env.SPL_SERVE_URL = url;
  return box;
}
