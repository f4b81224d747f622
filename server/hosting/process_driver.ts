import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readDaemonInfo } from "../../lib/api/daemon.ts";
import { writeFileAtomic } from "../../lib/base/atomic_file.ts";
import { utf8 } from "../../lib/base/bytes.ts";
import { fileError, SplError, systemCode } from "../../lib/base/errors.ts";
import { exists } from "../../lib/base/exists.ts";
import { type HomePaths, homePaths } from "../../lib/base/home.ts";
import { InstanceClient } from "../../lib/client/instance_client.ts";
import type { Address, Driver, Handles, Machine, Step } from "../../lib/hosting/types.ts";
import { makeHome } from "../../lib/instance/home.ts";
import { initInstance } from "../../lib/instance/instance.ts";
import { HomeLock } from "../../lib/instance/lock.ts";

export interface ProcessDriverOptions {
  /** Folder that holds a home for each instance. */
  folder: string;
  /** Command line of `spl`. */
  command: readonly string[];
  /** Base URL of the directory that the instances publish to. */
  directory: string;
  /** Networks in CIDR notation that their peers may be in, beside the public ones. */
  allowNetworks: readonly string[];
  log: (event: string, facts?: Record<string, string | number | boolean | null>) => void;
}

/** What an ending daemon may take before it is killed: it may be in the middle of a large commit. */
const STOP_MS = 60_000;
const LOOK_MS = 10;
/** One that dies so many times in a row, each within `CALM_MS`, waits longer and longer before it starts again. */
const EAGER = 2;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 60_000;
const CALM_MS = 60_000;

/**
 * Runs each instance as a process on this machine: the same binary, a home and a port of its own. One that dies by
 * itself is started again. Processes outlive a service that is killed; the next one takes them over.
 */
export class ProcessDriver implements Driver {
  readonly name = "process";
  readonly #kept = new Map<string, Kept>();

  constructor(readonly options: ProcessDriverOptions) {}

  async volume({ machine }: Step): Promise<void> {
    const paths = this.#paths(machine);
    makeHome(paths);
    const { directory, allowNetworks } = this.options;
    const lines = [`directory = ${JSON.stringify(directory)}`, "[listen]", 'host = "127.0.0.1"', "port = 0"];
    if (allowNetworks.length > 0)
      lines.push("[federation]", `allow_networks = ${JSON.stringify(allowNetworks)}`);
    writeFileAtomic(paths.config, utf8(`${lines.join("\n")}\n`));
  }

  async machine({ machine }: Step): Promise<void> {
    const paths = this.#paths(machine);
    if (!exists(paths.db)) await initInstance(paths.home, machine.label);
  }

  async boot(step: Step): Promise<void> {
    await this.#keptOf(step.machine).start(step.signal);
  }

  async mintBootstrap({ machine }: Step): Promise<string> {
    return (await localClient(this.#paths(machine)).mintBootstrap()).token;
  }

  async wake(step: Step): Promise<void> {
    await this.#keptOf(step.machine).start(step.signal);
  }

  async sleep({ machine }: Step): Promise<void> {
    await this.#keptOf(machine).stop();
  }

  async address(machine: Machine, _handles: Handles): Promise<Address | null> {
    const port = this.#keptOf(machine).port;
    return port === null ? null : { origin: `http://127.0.0.1:${port}` };
  }

  async destroy({ machine }: Pick<Step, "machine">): Promise<void> {
    await this.#keptOf(machine).stop();
    this.#kept.delete(machine.id);
    const { home } = this.#paths(machine);
    // One step, so that no half of a home is ever taken for a whole one.
    const doomed = join(this.options.folder, `.removed-${machine.id}`);
    try {
      if (exists(home)) renameSync(home, doomed);
      rmSync(doomed, { recursive: true, force: true });
    } catch (error) {
      throw fileError(error, "remove", home);
    }
  }

  /** Stops all of them in order, as the service itself stops. */
  async stop(): Promise<void> {
    await Promise.all([...this.#kept.values()].map((kept) => kept.stop()));
  }

  #paths({ id }: Machine): HomePaths {
    mkdirSync(this.options.folder, { recursive: true, mode: 0o700 });
    chmodSync(this.options.folder, 0o700);
    return homePaths(join(this.options.folder, id));
  }

  #keptOf(machine: Machine): Kept {
    const known = this.#kept.get(machine.id);
    if (known) return known;
    const kept = new Kept(machine, this.#paths(machine), this.options);
    this.#kept.set(machine.id, kept);
    return kept;
  }
}

/** One instance's process: started, watched, started again, stopped; one thing at a time. */
class Kept {
  /** Its TCP port while it runs. */
  port: number | null = null;
  #wanted = false;
  /** Asked for again, so that requests which find it restarted reach it; 0 for any. */
  #lastPort = 0;
  #deaths = 0;
  /** When it may be started again after it died, by `performance.now`. */
  #notBefore = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    readonly machine: Machine,
    readonly paths: HomePaths,
    readonly options: ProcessDriverOptions,
  ) {
    this.#adopt();
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      if (this.port !== null) return;
      this.#wanted = true;
      await pause(this.#notBefore - performance.now(), signal);
      await this.#spawn(signal);
    });
  }

  stop(): Promise<void> {
    return this.#inTurn(async () => {
      this.#wanted = false;
      this.port = null;
      this.#deaths = 0;
      this.#notBefore = 0;
      await endDaemon(this.paths);
    });
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(task);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** A process that a service before this one has left, and that still holds the home. */
  #adopt(): void {
    const info = exists(this.paths.lock) && !isFree(this.paths) ? readDaemonInfo(this.paths.daemon) : null;
    if (info === null) return;
    this.#wanted = true;
    this.port = info.port;
    this.#watchStranger(info.pid);
  }

  async #spawn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { command, log } = this.options;
    const words = join(this.paths.run, "last-words");
    const stderr = openSync(words, "w", 0o600);
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
    while (this.port !== null && isAlive(pid)) await pause(1000);
    await this.#died(pid, began);
  }

  async #died(pid: number, began: number): Promise<void> {
    if (!this.#wanted) return;
    this.port = null;
    this.#deaths = performance.now() - began > CALM_MS ? 1 : this.#deaths + 1;
    const wait =
      this.#deaths <= EAGER ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.#deaths - EAGER - 1));
    this.#notBefore = performance.now() + wait;
    this.options.log("instance-died", {
      instance: this.machine.id,
      pid,
      deaths: this.#deaths,
      wait_ms: wait,
    });
    await pause(wait);
    await this.#inTurn(async () => {
      if (!this.#wanted || this.port !== null) return;
      await this.#spawn(AbortSignal.timeout(LONGEST_WAIT_MS));
    }).catch((error) => {
      this.options.log("instance-down", { instance: this.machine.id, error: String(error) });
      this.#wanted = false;
    });
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

/** Ends the daemon of a home, whoever started it, and returns once the home is free. */
async function endDaemon(paths: HomePaths): Promise<void> {
  if (!exists(paths.lock) || isFree(paths)) return;
  const pid = readDaemonInfo(paths.daemon)?.pid ?? (await localClient(paths).status()).pid;
  signalTo(pid, "SIGTERM");
  const deadline = performance.now() + STOP_MS;
  while (!isFree(paths)) {
    if (performance.now() > deadline) signalTo(pid, "SIGKILL");
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

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== "ESRCH";
  }
}

function isFree(paths: HomePaths): boolean {
  const lock = HomeLock.tryTake(paths);
  lock?.release();
  return lock !== null;
}

/** The service reaches its instances' owners' socket as their owner does: file permissions are the sign-in. */
function localClient({ socket }: HomePaths): InstanceClient {
  return new InstanceClient({ url: "http://localhost", socket, token: null, from: "hosting service" });
}

/** @param said on standard error: with `-o json`, a problem document in the last line */
function causeOf(said: string): SplError {
  let detail: unknown;
  try {
    ({ detail } = JSON.parse(said.trim().split("\n").at(-1)!) as { detail?: unknown });
  } catch {
    // Said in another way, as by a process that was killed.
  }
  const why = typeof detail === "string" ? detail : "it ended before it answered";
  return new SplError("hosting_unavailable", `the instance does not start: ${why}`, {
    hint: "who runs this service finds more in the instance's log",
  });
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
