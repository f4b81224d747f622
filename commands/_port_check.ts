import { connect } from "node:net";
import { type DaemonInfo, DEFAULT_LISTEN, readLivingDaemon } from "../lib/api/daemon.ts";
import type { Status } from "../lib/api/wire.ts";
import { type HomePaths, homePaths } from "../lib/base/home.ts";
import { readToml } from "../lib/base/toml.ts";
import { HttpClient } from "../lib/client/http.ts";
import { fail, pass, type Result, warn } from "../lib/instance/checks/result.ts";
import { endIt } from "./_daemon.ts";

/** A connection within one machine, to a port that somebody listens on or nobody. */
const PATIENCE_MS = 2000;
/** A daemon may be in the middle of a commit. */
const ANSWER_MS = 5000;
const LOOK_MS = 20;

/** The daemon of a home that says it runs there. */
export interface RunningDaemon extends DaemonInfo {
  /** Whether it answers on its socket. */
  answers: boolean;
}

/**
 * Null where none runs; a killed one leaves its word behind. One that is ending or making room for the next is waited for.
 */
export async function runningDaemon(home: string): Promise<RunningDaemon | null> {
  const { daemon, socket } = homePaths(home);
  const client = new HttpClient({ url: "http://localhost", socket, token: null, from: "local daemon" });
  const signal = AbortSignal.timeout(ANSWER_MS);
  for (;;) {
    const info = readLivingDaemon(daemon);
    if (info === null) return null;
    const status = await client.requestJson<Status>("/v1/status", { signal }).catch(() => null);
    if (status?.pid === info.pid || signal.aborted) return { ...info, answers: status?.pid === info.pid };
    await Bun.sleep(LOOK_MS);
  }
}

/** The row of `spl doctor` on the port that this home listens on, or would. It is connected to, never taken. */
export async function checkPort(home: string, daemon: RunningDaemon | null): Promise<Result> {
  if (daemon) {
    const { pid, port, answers } = daemon;
    return answers
      ? pass(`${port}, this home's daemon (pid ${pid})`)
      : fail(`the daemon (pid ${pid}) does not answer`, `${endIt(pid)}; then spl serve --daemon`);
  }
  const { host, port } = configured(homePaths(home));
  if (port === 0) return pass("any free one");
  if (!(await isTaken(host, port))) return pass(`${port} is free`);
  return warn(
    `another program listens on ${port}: spl serve would not start`,
    `ss -ltnp 'sport = :${port}' says which; spl serve --port takes another`,
  );
}

/** `listen` of the home's `config.toml`. @throws SplError usage for what is not TOML, file_unreadable */
function configured({ config }: HomePaths): { host: string; port: number } {
  const { listen } = readToml(config) as { listen?: Partial<typeof DEFAULT_LISTEN> };
  return { ...DEFAULT_LISTEN, ...listen };
}

function isTaken(host: string, port: number): Promise<boolean> {
  const any = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return new Promise((resolve) => {
    const socket = connect({ host: any, port, timeout: PATIENCE_MS });
    const settle = (taken: boolean) => {
      socket.destroy();
      resolve(taken);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
    socket.once("timeout", () => settle(false));
  });
}
