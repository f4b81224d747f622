import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/base/atomic_file.ts";
import { utf8 } from "../../lib/base/bytes.ts";
import { fileError, SplError } from "../../lib/base/errors.ts";
import { exists } from "../../lib/base/exists.ts";
import { type HomePaths, homePaths } from "../../lib/base/home.ts";
import { InstanceClient } from "../../lib/client/instance_client.ts";
import type { Address, Driver, Handles, Machine, Step } from "../../lib/hosting/types.ts";
import { makeHome } from "../../lib/instance/home.ts";
import { initInstance } from "../../lib/instance/instance.ts";
import type { Log } from "../log.ts";
import { Kept } from "./kept.ts";

export interface ProcessDriverOptions {
  /** Folder that holds a home for each instance. */
  folder: string;
  /** Command line of `spl`. */
  command: readonly string[];
  /** Base URL of the directory that the instances publish to. */
  directory: string;
  /** Networks in CIDR notation that their peers may be in, beside the public ones. */
  allowNetworks: readonly string[];
  log: Log;
}

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
    const lines = [directoryLine(directory), "[listen]", 'host = "127.0.0.1"', "port = 0"];
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

  async mintBootstrap({ machine, signal }: Step): Promise<string> {
    const minted = localClient(this.#paths(machine)).mintBootstrap();
    try {
      return (await within(signal, minted)).token;
    } catch (cause) {
      signal.throwIfAborted();
      throw new SplError("hosting_unavailable", "the instance makes no bootstrap token", {
        hint: "try again in a moment",
        cause,
      });
    }
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

  async readdress({ machine }: Step, from: string): Promise<void> {
    await this.#keptOf(machine).stop();
    const { config } = this.#paths(machine);
    if (!exists(config)) return;
    // The directory was the service's own, unless somebody has named another.
    const { label } = machine;
    const bases = [from.replace(`//${label}.`, "//"), from.replace(new RegExp(`/i/${label}$`), "")];
    const before = bases.map(directoryLine);
    const now = directoryLine(this.options.directory);
    const lines = readFileSync(config, "utf8").split("\n");
    const after = lines.map((line) => (before.includes(line) ? now : line));
    writeFileAtomic(config, utf8(after.join("\n")));
  }

  async destroy({ machine }: Pick<Step, "machine">): Promise<void> {
    try {
      await this.#keptOf(machine).stop();
      this.#kept.delete(machine.id);
      this.#remove(machine);
    } catch (cause) {
      throw new SplError("hosting_unavailable", "the instance cannot be removed yet", {
        hint: "that is tried again by itself; tell who runs the service if it goes on",
        cause,
      });
    }
  }

  #remove(machine: Machine): void {
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

function directoryLine(url: string): string {
  return `directory = ${JSON.stringify(url)}`;
}

/** The service reaches its instances' owners' socket as their owner does: file permissions are the sign-in. */
function localClient({ socket }: HomePaths): InstanceClient {
  return new InstanceClient({ url: "http://localhost", socket, token: null, from: "hosting service" });
}

/** The task's result, unless the signal aborts before. */
async function within<T>(signal: AbortSignal, task: Promise<T>): Promise<T> {
  const { promise: overdue, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([task, overdue]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
