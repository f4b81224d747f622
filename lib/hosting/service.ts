import { SplError } from "../base/errors.ts";
import { OwnerAccess } from "./access.ts";
import { Awake } from "./awake.ts";
import { resumeEnds } from "./ending.ts";
import { type Hosting, instanceUrl } from "./hosting.ts";
import { stepFor, wake } from "./machine.ts";
import { Provisioner } from "./provision.ts";
import type { HostedInstance } from "./registry.ts";
import { Unfinished } from "./unfinished.ts";

/** A hosting service at work in one process: who is on the way, and who is awake. */
export class HostingService {
  readonly provisioner: Provisioner;
  readonly awake: Awake;
  readonly unfinished: Unfinished;
  readonly access: OwnerAccess;

  constructor(readonly hosting: Hosting) {
    // Nobody may ever call it, and it is to sleep all the same.
    this.provisioner = new Provisioner(hosting, (id) => this.awake.found(id));
    this.access = new OwnerAccess(hosting);
    const { clock, log } = hosting.ports;
    const machines = {
      wake: (id: string) => this.#wake(id),
      sleep: (id: string) => this.#sleep(id),
    };
    const idleMs = hosting.settings.idleMs ?? Number.POSITIVE_INFINITY;
    this.awake = new Awake(machines, idleMs, clock, (instance, error) =>
      log("sleep-failed", { instance, error: String(error) }),
    );
    this.unfinished = new Unfinished(hosting, this.provisioner, this.awake);
  }

  /** Goes on with what a process before this one left unfinished, and watches what it left running. */
  async resume(): Promise<void> {
    const { registry, driver } = this.hosting;
    await resumeEnds(this.hosting, this.awake);
    const moved: string[] = [];
    for (const instance of await registry.list({ states: ["provisioning", "ready"] }))
      if ((await this.#readdress(instance)) && instance.state === "ready") moved.push(instance.id);
    this.hosting.ports.background(this.#publish(moved));
    await this.provisioner.resume();
    for (const instance of await registry.list({ states: ["ready"] })) {
      if ((await driver.address(instance, instance.handles)) !== null) this.awake.found(instance.id);
    }
  }

  /** Wakes instances one after another: as it starts, each tells the directory where it is reached now. Never rejects. */
  async #publish(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      if (this.hosting.ports.stopping.aborted) return;
      await this.awake
        .serve(id, async () => new Response())
        .then(() => this.awake.sleep(id))
        .catch((error) => this.hosting.ports.log("publish-failed", { instance: id, error: String(error) }));
    }
  }

  /** The service may have another name or port than when the instance was made. True where it has. */
  async #readdress(instance: HostedInstance): Promise<boolean> {
    const { registry, driver, settings, ports } = this.hosting;
    const { id, label, url: from } = instance;
    const url = instanceUrl(settings, label);
    if (url === from) return false;
    if (!driver.readdress) {
      ports.log("readdress-impossible", { instance: id, url: from, wanted: url });
      return false;
    }
    try {
      const step = stepFor(this.hosting, { ...instance, url }, settings.deadlines.boot);
      await driver.readdress(step, from);
      await registry.putUrl(id, url);
      ports.log("readdressed", { instance: id, from, to: url });
      return true;
    } catch (error) {
      ports.log("readdress-failed", { instance: id, error: String(error) });
      return false;
    }
  }

  /** @throws SplError hosting_unavailable while it is not ready */
  async #wake(id: string) {
    const { driver, settings } = this.hosting;
    const instance = await this.#ready(id);
    const step = stepFor(this.hosting, instance, settings.deadlines.boot);
    await wake(this.hosting, step);
    const address = await driver.address(instance, step.handles);
    if (address !== null) return address;
    throw new SplError("hosting_unavailable", "the instance does not start", {
      hint: "try again in a moment",
    });
  }

  async #sleep(id: string): Promise<void> {
    const { driver, settings } = this.hosting;
    const instance = await this.hosting.registry.instance(id);
    // While it is being made or removed, its driver is busy with it.
    if (instance?.state !== "ready") return;
    await driver.sleep(stepFor(this.hosting, instance, settings.deadlines.boot));
    this.hosting.ports.log("asleep", { instance: id });
  }

  async #ready(id: string): Promise<HostedInstance> {
    const instance = await this.hosting.registry.instance(id);
    if (instance?.state === "ready") return instance;
    throw new SplError("hosting_unavailable", `the instance is ${instance?.state ?? "gone"}`, {
      hint: "try again in a moment",
    });
  }
}
