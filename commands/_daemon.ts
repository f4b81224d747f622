import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { readDaemonInfo, readLivingDaemon } from "../lib/api/daemon.ts";
import { lastWords } from "../lib/api/problem.ts";
import type { Status } from "../lib/api/wire.ts";
import { SplError, systemCode } from "../lib/base/errors.ts";
import { exists } from "../lib/base/exists.ts";
import { homePaths } from "../lib/base/home.ts";
import { selfCommand } from "../lib/base/runtime.ts";
import { HttpClient } from "../lib/client/http.ts";
import { InstanceClient } from "../lib/client/instance_client.ts";
import type { Target } from "../lib/client/target.ts";
import { makeHome } from "../lib/instance/home.ts";
import { HomeLock } from "../lib/instance/lock.ts";
import { stayingEnv } from "./_bootstrap.ts";
import type { Context } from "./_kit.ts";

/** How long a daemon may take to answer, and to end: it may be in the middle of a large commit. */
const START_MS = 60_000;
const STOP_MS = 120_000;
/** How long it may take to say who it is before it is given up. */
const ANSWER_MS = 10_000;
/** After this long it is told what is waited for. */
const SLOW_MS = 3000;
const POLL_MS = 15;
/** What is read of the end of the log to learn why a daemon died. */
const TAIL_BYTES = 16 * 1024;

/**
 * Starts `spl serve` with these flags apart from this terminal and returns once it answers.
 * @throws SplError the daemon's own error when it dies, daemon_failed when it does not answer
 */
export async function startDaemon(home: string, flags: string[], env: Context["env"]): Promise<Status> {
  const paths = homePaths(home);
  makeHome(paths);
  const log = openLog(paths.log);
  const before = log === null ? 0 : fstatSync(log).size;
  try {
    const child = Bun.spawn([...selfCommand(), "serve", ...flags, "--output", "json"], {
      // Not the folder it was started in, which would keep that one from being unmounted.
      cwd: "/",
      env: { ...stayingEnv(env), SYNCROPEL_HOME: home },
      stdio: ["ignore", "ignore", log ?? "ignore"],
      detached: true,
    });
    const client = localClient(home);
    const deadline = performance.now() + START_MS;
    while (child.exitCode === null && child.signalCode === null) {
      if (readDaemonInfo(paths.daemon)?.pid === child.pid) {
        const status = await client.status().catch(() => null);
        if (status?.pid === child.pid) {
          child.unref();
          return status;
        }
      }
      if (performance.now() > deadline) {
        child.kill();
        throw new SplError("daemon_failed", `the daemon did not answer within ${START_MS / 1000} seconds`, {
          hint: `${paths.log} may say why`,
        });
      }
      await Promise.race([child.exited, Bun.sleep(POLL_MS)]);
    }
    throw causeOfDeath(log, before, child.exitCode ?? child.signalCode ?? 0, paths.log);
  } finally {
    if (log !== null) closeSync(log);
  }
}

/**
 * Ends the daemon of `home` and returns its process id once the home is free, or null when none was running.
 * @param say told what is waited for, where it takes long
 * @throws SplError daemon_failed when it does not answer or does not end
 */
export async function stopDaemon(home: string, say: (text: string) => void): Promise<number | null> {
  const paths = homePaths(home);
  if (!exists(paths.lock) || isFree(home)) return null;
  const slow = setTimeout(() => say(`waiting for the daemon of ${home}`), SLOW_MS);
  try {
    const pid = await answeringPid(home);
    try {
      process.kill(pid, "SIGTERM");
    } catch (error) {
      if (systemCode(error) !== "ESRCH") throw error;
    }
    const deadline = performance.now() + STOP_MS;
    while (!isFree(home)) {
      if (performance.now() > deadline) {
        throw new SplError(
          "daemon_failed",
          `the daemon (pid ${pid}) has not ended within ${STOP_MS / 1000} seconds`,
          { hint: `${endIt(pid)}; ${paths.log} may say why` },
        );
      }
      await Bun.sleep(POLL_MS);
    }
    return pid;
  } finally {
    clearTimeout(slow);
  }
}

/** Only who answers on this home's socket is signalled: a process id from a file may be another's by now. */
async function answeringPid(home: string): Promise<number> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    return (await new HttpClient(localTarget(home)).requestJson<Status>("/v1/status", { signal })).pid;
  } catch (cause) {
    const told = readLivingDaemon(homePaths(home).daemon)?.pid;
    if (told === undefined) {
      throw new SplError("daemon_failed", `another spl is using ${home}, and it is no daemon that answers`, {
        hint: "wait for it to end, or end it by hand",
        cause,
      });
    }
    throw new SplError("daemon_failed", `the daemon of ${home} (pid ${told}) does not answer`, {
      hint: endIt(told),
      cause,
    });
  }
}

/** What to type where a daemon is deaf to everything else; the store outlives it. */
export function endIt(pid: number): string {
  return `kill -9 ${pid} ends it without losing what it acknowledged`;
}

function localClient(home: string): InstanceClient {
  return new InstanceClient(localTarget(home));
}

function localTarget(home: string): Target {
  return { url: "http://localhost", socket: homePaths(home).socket, token: null, from: "local daemon" };
}

function isFree(home: string): boolean {
  const lock = HomeLock.tryTake(homePaths(home));
  lock?.release();
  return lock !== null;
}

/** The log as the daemon's standard error; null where it cannot be written, which must not keep it from running. */
function openLog(path: string): number | null {
  try {
    return openSync(path, "a+", 0o600);
  } catch {
    return null;
  }
}

/** What the daemon said last: as it runs with `-o json`, that is a problem document. */
function causeOfDeath(log: number | null, from: number, status: number | string, path: string): SplError {
  const { line, error } = lastWords(log === null ? "" : tail(log, from));
  const facts = { daemon_status: status };
  if (error) return error.retold({ detail: facts });
  return new SplError("daemon_failed", `the daemon ended with status ${status}${line ? `: ${line}` : ""}`, {
    hint: `${path} may say why`,
    detail: facts,
  });
}

function tail(log: number, from: number): string {
  const start = Math.max(from, fstatSync(log).size - TAIL_BYTES);
  const buffer = Buffer.alloc(TAIL_BYTES);
  return buffer.toString("utf8", 0, readSync(log, buffer, 0, TAIL_BYTES, start));
}
