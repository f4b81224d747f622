import { mkdirSync, writeFileSync } from "node:fs";
import { homePaths } from "../../lib/base/home.ts";
import { type RunningServer, type ServeOptions, serve } from "../../server/serve.ts";
import { ScratchFolder } from "./store.ts";

/** A server on a free port, and what its socket and its port answer. */
export class Served implements AsyncDisposable {
  private constructor(
    readonly folder: ScratchFolder,
    readonly running: RunningServer,
  ) {}

  /** @param config text of the home's `config.toml` */
  static async start(options: Partial<ServeOptions> = {}, config = ""): Promise<Served> {
    const folder = new ScratchFolder();
    const home = folder.file("home");
    mkdirSync(home);
    writeFileSync(homePaths(home).config, config);
    return new Served(
      folder,
      await serve({ home, env: { XDG_DATA_HOME: folder.file("data") }, port: 0, ...options }),
    );
  }

  unix(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://localhost${path}`, { ...init, unix: this.running.socket });
  }

  tcp(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.running.port}${path}`, init);
  }

  /** Sends bytes as they are and returns what comes back until the connection is closed. */
  async raw(request: string): Promise<string> {
    const answer = Promise.withResolvers<string>();
    let text = "";
    await Bun.connect({
      hostname: "127.0.0.1",
      port: this.running.port,
      socket: {
        open: (socket) => void socket.write(request),
        data: (_, bytes) => {
          text += bytes.toString("latin1");
        },
        close: () => answer.resolve(text),
        error: (_, error) => answer.reject(error),
      },
    });
    return answer.promise;
  }

  get paths() {
    return homePaths(this.running.home);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.running.stop();
    this.folder[Symbol.dispose]();
  }
}
