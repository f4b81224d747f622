import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firstLine } from "./daemon.ts";
import type { Config } from "./fly_server.ts";
import { splBinary } from "./spl.ts";

/** The program of a machine: the compiled `spl`, as the machine's configuration runs it, on a port of this machine. */
export class FlyGuest {
  private constructor(
    readonly disk: string,
    readonly process: Bun.Subprocess<"ignore", "pipe", "inherit">,
    readonly port: number,
  ) {}

  /** @param disk the folder that stands for its volume; a new one by default */
  static async start({ init, env = {}, mounts }: Config, disk?: string): Promise<FlyGuest> {
    const folder = disk ?? mkdtempSync(join(tmpdir(), "fly-"));
    const { path } = mounts![0]!;
    if (init?.entrypoint?.join() !== "spl") throw new Error("the image has spl only");
    const child = Bun.spawn([splBinary(), ...hereOnly(init.cmd ?? []), "--isolated", "--output", "json"], {
      cwd: folder,
      env: {
        PATH: process.env.PATH ?? "/usr/bin:/bin",
        HOME: folder,
        ...Object.fromEntries(
          Object.entries(env).map(([name, value]) => [name, value.replace(path, folder)]),
        ),
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const line = await firstLine(child.stdout);
    if (line === null) {
      await child.exited;
      throw new Error(`spl serve ended with ${child.signalCode ?? child.exitCode}`);
    }
    return new FlyGuest(folder, child, (JSON.parse(line) as { port: number }).port);
  }

  /** As Fly's check asks, by the machine's address. */
  async isWell(): Promise<boolean> {
    const answer = await fetch(`http://127.0.0.1:${this.port}/health`, { keepalive: false }).catch(
      () => null,
    );
    return answer?.status === 200;
  }

  /** The request as Fly's proxy passes it on. */
  forward(request: Request, host: string): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    headers.set("host", host);
    return fetch(`http://127.0.0.1:${this.port}${pathname}${search}`, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
      // An idle connection would hold up its end.
      keepalive: false,
    });
  }

  async stop(): Promise<void> {
    this.process.kill("SIGTERM");
    await this.process.exited;
  }

  static wipe(disks: Iterable<string>): void {
    for (const disk of disks) rmSync(disk, { recursive: true, force: true });
  }
}

/** The arguments with which it listens on loopback, on any free port. */
function hereOnly(cmd: readonly string[]): string[] {
  const args = [...cmd];
  const set = (flag: string, value: string) => {
    const at = args.indexOf(flag);
    if (at < 0) throw new Error(`${flag} is missing`);
    args[at + 1] = value;
  };
  set("--host", "127.0.0.1");
  set("--port", "0");
  return args;
}
