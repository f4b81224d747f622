import { type ErrorCode, SplError } from "../base/errors.ts";
import type { Hosting } from "./hosting.ts";
import { alone } from "./lease.ts";
import { reasonOf } from "./machine.ts";
import { Notices } from "./notices.ts";
import { type HostedInstance, PHASES, type Phase } from "./registry.ts";
import type { Handles, Step } from "./types.ts";

/** How long the removal of what a failed instance left behind may take at a time, milliseconds. */
const CLEAR_MS = 120_000;
/** Of one request to a machine that runs. */
const ASK_MS = 10_000;

/**
 * Takes instances through their phases. What was done is journaled, so that a process that is started again goes on where
 * the one before was killed; each step of a driver is idempotent. When a phase fails, all that was made is removed and
 * the label is free again.
 */
export class Provisioner {
  readonly notices = new Notices();
  readonly #running = new Map<string, Promise<void>>();

  /** @param ready hears of each instance that has come to be */
  constructor(
    readonly hosting: Hosting,
    readonly ready: (id: string) => void,
  ) {}

  /** Goes on with an instance in the background, unless that is going on already, here or in another process. */
  start(id: string): Promise<void> {
    const running = this.#running.get(id);
    if (running) return running;
    const task = this.#run(id)
      .catch((error) => this.hosting.ports.log("provision-error", { instance: id, error: String(error) }))
      .finally(() => this.#running.delete(id));
    this.#running.set(id, task);
    this.hosting.ports.background(task);
    return task;
  }

  /** Goes on with everything that a process before this one left unfinished. */
  async resume(): Promise<void> {
    const unfinished = await this.hosting.registry.list({ states: ["provisioning", "failing"] });
    for (const { id } of unfinished) this.start(id);
  }

  async #run(id: string): Promise<void> {
    const ran = await alone(this.hosting, id, async ({ lost }) => {
      const instance = await this.hosting.registry.instance(id);
      if (instance?.state === "provisioning") await this.#provision(instance, lost);
      const now = await this.hosting.registry.instance(id);
      if (now?.state === "failing") await this.#clear(now);
    });
    if (ran) this.notices.announce(id);
  }

  async #provision(instance: HostedInstance, lost: AbortSignal): Promise<void> {
    const { registry, ports } = this.hosting;
    const left = AbortSignal.any([ports.stopping, lost]);
    const journal = await registry.phases(instance.id);
    const done = new Set(journal.filter((row) => row.ended_at !== null).map((row) => row.phase));
    let { handles } = instance;
    for (const phase of PHASES) {
      if (done.has(phase)) continue;
      await registry.beginPhase(instance.id, phase, ports.clock());
      this.notices.announce(instance.id);
      const signal = AbortSignal.any([ports.deadline(this.#deadline(phase)), left]);
      const step: Step = {
        machine: instance,
        handles,
        note: async (more) => {
          lost.throwIfAborted();
          handles = { ...handles, ...more };
          await registry.note(instance.id, handles);
          return handles;
        },
        signal,
      };
      try {
        await this.#phase(phase, step, () => handles);
      } catch (thrown) {
        if (left.aborted) return;
        const error = told(thrown, signal, phase);
        const { code, message, hint = null } = error;
        ports.log("provision-failed", { instance: instance.id, phase, code, error: reasonOf(error) });
        await registry.beginFailing(instance.id, { code, phase, message, hint });
        return;
      }
      if (phase === "ready") break;
      if (lost.aborted) return;
      await registry.endPhase(instance.id, phase, ports.clock());
    }
    this.ready(instance.id);
    ports.log("provisioned", { instance: instance.id, label: instance.label });
  }

  async #phase(phase: Phase, step: Step, handles: () => Handles): Promise<void> {
    const { driver, registry, ports } = this.hosting;
    const { id } = step.machine;
    switch (phase) {
      case "reserve":
        return;
      case "volume":
        return driver.volume(step);
      case "machine":
        return driver.machine(step);
      case "boot":
        return driver.boot(step);
      case "bootstrap": {
        const token = await driver.mintBootstrap(step);
        return this.#proveToken(step, handles(), token);
      }
      case "ready": {
        const { instance_did } = await this.#ask<{ instance_did: string }>(step, handles(), "/health", {});
        return registry.becomeReady(id, instance_did, ports.clock());
      }
    }
  }

  /** That the instance takes the tokens that its owner will get; this one is void as soon as the next is made. */
  async #proveToken(step: Step, handles: Handles, token: string): Promise<void> {
    const bearer = { authorization: `Bearer ${token}` };
    try {
      await this.#ask(step, handles, "/v1/token", bearer);
    } catch (cause) {
      if (step.signal.aborted) throw cause;
      throw new SplError("bootstrap_rejected", "the new instance does not take its bootstrap token", {
        hint: "try again; if it happens again, tell who runs this service",
        cause,
      });
    }
  }

  async #ask<T>(step: Step, handles: Handles, path: string, headers: Record<string, string>): Promise<T> {
    const { driver, ports } = this.hosting;
    const address = await driver.address(step.machine, handles);
    if (address === null) throw new SplError("hosting_unavailable", "the new instance has stopped");
    const response = await ports.fetch(address.origin + path, {
      headers: { host: new URL(step.machine.url).host, ...address.headers, ...headers },
      redirect: "manual",
      signal: AbortSignal.any([step.signal, ports.deadline(ASK_MS)]),
    });
    if (response.ok) return (await response.json()) as T;
    await response.body?.cancel();
    throw new SplError("hosting_unavailable", `the new instance answers with status ${response.status}`);
  }

  #deadline(phase: Phase): number {
    const { deadlines } = this.hosting.settings;
    return phase === "reserve" || phase === "ready" ? ASK_MS : deadlines[phase];
  }

  /** Removes all that there may be; where that fails it is tried again later (`Removals`). */
  async #clear(instance: HostedInstance): Promise<void> {
    const { driver, registry, ports } = this.hosting;
    await driver.destroy({ machine: instance, handles: instance.handles, signal: ports.deadline(CLEAR_MS) });
    await registry.becomeFailed(instance.id, ports.clock());
  }
}

/** What owners are told as it is; the rest speaks of files on this machine. */
const FOR_OWNERS: readonly ErrorCode[] = [
  "hosting_unavailable",
  "boot_timeout",
  "bootstrap_rejected",
  "conflict",
  "rate_limited",
];

/** What went wrong, as its owner is told; what only who runs the service may know is its cause. */
function told(thrown: unknown, signal: AbortSignal, phase: Phase): SplError {
  if (thrown instanceof SplError && FOR_OWNERS.includes(thrown.code)) return thrown;
  if (signal.aborted) {
    return new SplError("boot_timeout", `the instance was not ready in time (${phase})`, {
      hint: "try again; nothing was left behind",
    });
  }
  const hint = "tell who runs this service, and try again";
  return thrown instanceof SplError && thrown.code === "disk_full"
    ? new SplError("disk_full", "this service has no space left", { hint, cause: thrown })
    : new SplError("internal", "internal error", { hint, cause: thrown });
}
