import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readDaemonInfo, readLivingDaemon } from "../../lib/api/daemon.ts";
import { lastWords } from "../../lib/api/problem.ts";
import { fileError, SplError, systemCode } from "../../lib/base/errors.ts";
import { exists } from "../../lib/base/exists.ts";
import type { HomePaths } from "../../lib/base/home.ts";
import { reasonOf } from "../../lib/hosting/machine.ts";
import type { Machine } from "../../lib/hosting/types.ts";
import { HomeLock } from "../../lib/instance/lock.ts";
import type { Log } from "../log.ts";

/** What an ending daemon may take before it is killed: it may be in the middle of a large commit. */
const STOP_MS = 60_000;
const LOOK_MS = 10;
/** One that ends or does not start so many times in a row, within `CALM_MS`, waits longer and longer before it may again. */
const EAGER = 2;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 60_000;
const CALM_MS = 60_000;
/** What a request waits at most before its instance is tried again; else it is refused. */
const PATIENCE_MS = 2000;
/** How often a process that is not our child is looked after. */
const STRANGER_MS = 1000;

/** One instance's process: started, watched, started again, stopped; one thing at a time. */
export class Kept {
  /** Its TCP port while it runs. */
  port: number | null = null;
  #wanted = false;
  /** Asked for again, so that requests which find it restarted reach it; 0 for any. */
  #lastPort = 0;
  #deaths = 0;
  /** When it may be started again after it died, by `performance.now`. */
  #notBefore = 0;
  /** The process that is watched although it is not our child. */
  #stranger: object | null = null;
  /** Aborts when it is not to start any more. */
  #halt = new AbortController();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    readonly machine: Machine,
    readonly paths: HomePaths,
    readonly options: { command: readonly string[]; log: Log },
  ) {
    if (isHeld(paths)) this.#adopt();
  }

  /** @throws SplError hosting_unavailable, disk_full; the signal's reason when it aborts */
  start(signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#stranger !== null && !isHeld(this.paths)) this.port = null;
      if (this.port !== null) return;
      this.#wanted = true;
      const wait = this.#notBefore - performance.now();
      if (wait > PATIENCE_MS) {
        throw new SplError("hosting_unavailable", "the instance keeps ending by itself", {
          hint: `it is started again in ${Math.ceil(wait / 1000)} seconds`,
        });
      }
      await pause(wait, signal);
      await this.#begin(signal);
    });
  }

  stop(): Promise<void> {
    this.#halt.abort();
    return this.#inTurn(async () => {
      this.#wanted = false;
      this.#stranger = null;
      this.port = null;
      this.#deaths = 0;
      this.#notBefore = 0;
      this.#halt = new AbortController();
      await endDaemon(this.paths);
    });
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(task);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Takes over what a killed service has left starting or ending, else starts it. */
  async #begin(signal: AbortSignal): Promise<void> {
    const { signal: halted } = this.#halt;
    const ended = AbortSignal.any([signal, halted]);
    try {
      if (await this.#takeOver(ended)) return;
      try {
        await this.#spawn(ended);
      } catch (error) {
        // One that such a service had only just started may have been faster.
        ended.throwIfAborted();
        if (await this.#takeOver(ended)) return;
        this.#countDeath(0);
        throw error;
      }
    } catch (error) {
      if (!halted.aborted) throw error;
      throw new SplError("hosting_unavailable", "the instance is being stopped", {
        hint: "try again in a moment",
      });
    }
  }

  /** True once another process that holds the home answers; false when none holds it. */
  async #takeOver(signal: AbortSignal): Promise<boolean> {
    while (isHeld(this.paths)) {
      if (this.#adopt()) return true;
      await pause(LOOK_MS, signal);
    }
    return false;
  }

  /** Watches the process that holds the home, if it says that it answers. */
  #adopt(): boolean {
    // What a killed one said of itself stays until the next one answers.
    const info = readLivingDaemon(this.paths.daemon);
    if (info === null) return false;
    this.#wanted = true;
    this.port = info.port;
    this.#lastPort = info.port;
    void this.#watchStranger(info.pid);
    return true;
  }

  async #spawn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { command, log } = this.options;
    const words = join(this.paths.run, "last-words");
    const stderr = openWords(words);
    const flags = ["--port", `${this.#lastPort}`, "--public-url", this.machine.url, "--output", "json"];
    const child = Bun.spawn([...command, "serve", ...flags], {
      cwd: "/",
      // Nothing of the service's own surroundings: they may hold secrets, and settings for another instance.
      env: { PATH: process.env.PATH ?? "", HOME: this.paths.home, SYNCROPEL_HOME: this.paths.home },
      stdio: ["ignore", "pipe", stderr],
      // A signal of the terminal is for the service, which stops its instances in order.
      detached: true,
    });
    closeSync(stderr);
    const cancel = () => child.kill("SIGKILL");
    signal.addEventListener("abort", cancel, { once: true });
    const began = performance.now();
    try {
      const port = await portOf(child.stdout);
      if (port === null) {
        await child.exited;
        signal.throwIfAborted();
        // Another program may have taken the port meanwhile.
        this.#lastPort = 0;
        throw causeOf(readFileSync(words, "utf8"));
      }
      this.port = port;
      this.#lastPort = port;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
    log("instance-up", {
      instance: this.machine.id,
      pid: child.pid,
      ms: Math.round(performance.now() - began),
    });
    child.unref();
    void child.exited.then(() => this.#died(child.pid, began));
  }

  /** A process that is not our child says nothing when it ends: its lock does. */
  async #watchStranger(pid: number): Promise<void> {
    const began = performance.now();
    const stranger = {};
    this.#stranger = stranger;
    do await pause(STRANGER_MS);
    while (this.#stranger === stranger && isHeld(this.paths));
    if (this.#stranger === stranger) await this.#died(pid, began);
  }

  async #died(pid: number, began: number): Promise<void> {
    if (!this.#wanted) return;
    this.port = null;
    this.#stranger = null;
    const wait_ms = this.#countDeath(performance.now() - began);
    this.options.log("instance-died", { instance: this.machine.id, pid, deaths: this.#deaths, wait_ms });
    const { signal } = this.#halt;
    await pause(wait_ms, signal).catch(() => undefined);
    await this.#inTurn(async () => {
      if (!this.#wanted || signal.aborted || this.port !== null) return;
      await this.#begin(AbortSignal.timeout(LONGEST_WAIT_MS));
    }).catch((error) => {
      this.options.log("instance-down", { instance: this.machine.id, error: reasonOf(error) });
      this.#wanted = false;
    });
  }

  /** Milliseconds that it has to wait now. */
  #countDeath(lived: number): number {
    this.#deaths = lived > CALM_MS ? 1 : this.#deaths + 1;
    const after = FIRST_WAIT_MS * 2 ** (this.#deaths - EAGER - 1);
    const wait = this.#deaths <= EAGER ? 0 : Math.min(LONGEST_WAIT_MS, after);
    this.#notBefore = performance.now() + wait;
    return wait;
  }
}

/** The port that a starting daemon tells on its standard output; null when it ends before. */
async function portOf(stdout: ReadableStream<Uint8Array>): Promise<number | null> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stdout) {
    text += decoder.decode(chunk, { stream: true });
    const end = text.indexOf("\n");
    if (end >= 0) return (JSON.parse(text.slice(0, end)) as { port: number }).port;
  }
  return null;
}

/**
 * Ends the daemon of a home, whoever started it, and returns once the home is free.
 * @throws SplError hosting_unavailable when it does not end
 */
async function endDaemon(paths: HomePaths): Promise<void> {
  const began = performance.now();
  let asked: number | null = null;
  while (isHeld(paths)) {
    const late = performance.now() - began - STOP_MS;
    const pid = readDaemonInfo(paths.daemon)?.pid ?? null;
    if (pid !== null && (pid !== asked || late > 0)) signalTo(pid, late > 0 ? "SIGKILL" : "SIGTERM");
    asked = pid;
    if (late > STOP_MS) throw new SplError("hosting_unavailable", "the instance does not end");
    await pause(LOOK_MS);
  }
}

function signalTo(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (systemCode(error) !== "ESRCH") throw error;
  }
}

/** Whether a process runs on the home. */
function isHeld(paths: HomePaths): boolean {
  if (!exists(paths.lock)) return false;
  const lock = HomeLock.tryTake(paths);
  lock?.release();
  return lock === null;
}

/** @param said on standard error: with `-o json`, a problem document in the last line; it may name files */
function causeOf(said: string): SplError {
  const { line, error } = lastWords(said);
  return doesNotStart(error ?? new Error(line || "it ended before it answered"));
}

function doesNotStart(cause: unknown): SplError {
  const full = cause instanceof SplError && cause.code === "disk_full";
  return full
    ? new SplError("disk_full", "this service has no space left", { hint: "tell who runs it", cause })
    : new SplError("hosting_unavailable", "the instance does not start", {
        hint: "who runs this service finds more in its log",
        cause,
      });
}

/** Where a process says why it does not start. */
function openWords(path: string): number {
  try {
    return openSync(path, "w", 0o600);
  } catch (error) {
    throw doesNotStart(fileError(error, "write", path));
  }
}

async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (ms <= 0) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
  signal?.throwIfAborted();
}
