import { join, resolve } from "node:path";
import { lastWords } from "../api/problem.ts";
import type { Env } from "../backup/places.ts";
import { SplError } from "../base/errors.ts";
import { homePaths } from "../base/home.ts";
import { selfCommand } from "../base/runtime.ts";
import { InstanceClient } from "../client/instance_client.ts";
import { makeHome } from "../instance/home.ts";

/** How long it may take to end by itself. */
const STOP_MS = 30_000;

/**
 * An empty instance in a home of its own, which connects to nobody. It ends with this process, however that ends: it
 * lives no longer than its standard input.
 */
export class ScratchInstance {
  readonly client: InstanceClient;
  readonly #process: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #said: Promise<string>;

  private constructor(
    readonly home: string,
    process: Bun.Subprocess<"pipe", "pipe", "pipe">,
  ) {
    this.#process = process;
    this.#said = process.stderr.text();
    const { socket } = homePaths(home);
    this.client = new InstanceClient({
      url: "http://localhost",
      socket,
      token: null,
      from: "local daemon",
    });
  }

  /** @param env of this process, of which the instance gets next to nothing: no home, no address, no secret */
  static start(home: string, env: Env): ScratchInstance {
    try {
      makeHome(homePaths(home));
    } catch (error) {
      if (!(error instanceof SplError) || error.code !== "usage") throw error;
      throw error.retold({ hint: "set TMPDIR to a shorter path" });
    }
    const child = Bun.spawn(
      [...selfCommand(), "serve", "--isolated", "--port=0", "--until-eof", "--output=json"],
      {
        cwd: home,
        env: {
          PATH: env.PATH,
          HOME: home,
          SYNCROPEL_HOME: home,
          XDG_CONFIG_HOME: join(home, "settings"),
          XDG_DATA_HOME: join(home, "data"),
          ...(env.TMPDIR ? { TMPDIR: resolve(env.TMPDIR) } : {}),
        },
        stdio: ["pipe", "pipe", "pipe"],
        // A Ctrl-C is for the drill, which then ends its instance.
        detached: true,
      },
    );
    return new ScratchInstance(home, child);
  }

  /** Resolves once it answers. @throws SplError its own when it dies */
  async ready(): Promise<void> {
    const reader = this.#process.stdout.getReader();
    const { done } = await reader.read();
    reader.releaseLock();
    if (done) throw await this.#death();
  }

  /** The same failure, unless the instance died of something else that it told. */
  async cause(error: unknown): Promise<unknown> {
    if (!(error instanceof SplError) || error.code !== "unreachable") return error;
    const alive = Symbol();
    const ended = await Promise.race([this.#process.exited, Bun.sleep(1000).then(() => alive)]);
    if (ended !== alive) return this.#death();
    return new SplError("daemon_failed", `the scratch instance does not answer: ${error.message}`, {
      cause: error,
    });
  }

  /** Tells it to end without waiting for it. */
  interrupt(): void {
    this.#process.kill("SIGTERM");
  }

  /** Ends it, by force where it takes too long. */
  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    const force = setTimeout(() => this.#process.kill("SIGKILL"), STOP_MS);
    await this.#process.exited;
    clearTimeout(force);
  }

  async #death(): Promise<SplError> {
    await this.#process.exited;
    const { line, error } = lastWords(await this.#said);
    const status = this.#process.signalCode ?? this.#process.exitCode;
    const why = line ? `: ${line}` : "";
    return error ?? new SplError("daemon_failed", `the scratch instance ended with status ${status}${why}`);
  }
}
