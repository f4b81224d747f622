import { FlyApi } from "../../lib/hosting/fly/api.ts";
import { flyDriver } from "../../lib/hosting/fly/driver.ts";
import { type FlyOptions, type FlyPorts, readOptions } from "../../lib/hosting/fly/options.ts";
import type { Driver, Handles, Machine, Step } from "../../lib/hosting/types.ts";
import { FlyServer, type FlyServerOptions } from "./fly_server.ts";
import { seeded } from "./seeded.ts";

export const MACHINE: Machine = {
  id: "0123456789abcdef",
  label: "alice",
  url: "https://alice.hosted.example",
  plan: { name: "small", cpus: 1, memory_mb: 512, disk_gb: 3 },
};
export const APP = "spl-0123456789abcdef";
/** The steps of a machine that is made, in their order. */
export const MAKING = ["volume", "machine", "boot"] as const;

/** Milliseconds of the world's clock in which a step has to be done. */
const DEADLINE_MS = 120_000;

/** What of a run ends it in the middle, as a process that is killed. */
export class Killed extends Error {}

/** Fly, a driver, and a clock that goes on only while somebody waits. */
export class FlyWorld implements AsyncDisposable {
  now = 1_800_000_000_000;
  /** The same in every run: two waits of real chance are equal once in a while. */
  readonly #chance = seeded(1);
  /** How long somebody waited, each time. */
  readonly waits: number[] = [];
  readonly fly: FlyServer;
  /** What has been noted; on disk. */
  handles: Handles = {};
  /** Every journal entry, and what the driver sent. */
  readonly seen: string[] = [];
  /** Requests to Fly that are let through before the process is killed; the next one arrives or does not. */
  kill: { after: number; arrives: boolean } | null = null;
  #dead = false;
  #deadlines = new Set<{ at: number; controller: AbortController }>();

  constructor(options: FlyServerOptions = {}) {
    this.fly = new FlyServer({ clock: () => this.now, ...options });
  }

  options(more: Partial<FlyOptions> = {}): FlyOptions {
    const { token, org, api } = this.fly;
    return {
      token,
      org,
      api,
      regions: ["iad", "lhr"],
      image: "registry.fly.io/spl:1",
      answerMs: 300,
      waitS: 1,
      ...more,
    };
  }

  get ports(): FlyPorts {
    return {
      fetch: (url, init) => this.#fetch(url, init),
      delay: (ms, signal) => this.#delay(ms, signal),
      clock: () => this.now,
      random: (n) => Uint8Array.from({ length: n }, () => this.#chance(256)),
      reach: (app) => this.fly.reach(app),
    };
  }

  driver(more: Partial<FlyOptions> = {}): Driver {
    return flyDriver(this.options(more), this.ports);
  }

  api(more: Partial<FlyOptions> = {}): FlyApi {
    return new FlyApi(readOptions(this.options(more)), this.ports);
  }

  /** A step with a deadline. */
  step(withinMs = DEADLINE_MS): Step {
    const controller = new AbortController();
    this.#deadlines.add({ at: this.now + withinMs, controller });
    return {
      machine: MACHINE,
      handles: this.handles,
      signal: controller.signal,
      note: async (handles) => {
        if (this.#dead) throw new Killed();
        this.seen.push(JSON.stringify(handles));
        this.handles = { ...this.handles, ...handles };
        return this.handles;
      },
    };
  }

  /** All steps of a machine that is made. */
  async make(driver = this.driver()): Promise<void> {
    for (const name of MAKING) await driver[name](this.step());
  }

  /** Runs until it is killed where `kill` says; true if it was. */
  async killedIn(run: () => Promise<unknown>): Promise<boolean> {
    try {
      await run();
      return false;
    } catch (error) {
      if (!this.#dead) throw error;
      return true;
    } finally {
      this.kill = null;
      this.#dead = false;
    }
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    if (this.#dead) throw new Killed();
    if (this.kill && url.startsWith(this.fly.api) && this.kill.after-- === 0) {
      this.#dead = true;
      if (this.kill.arrives) await (await fetch(url, init)).text();
      for (const { controller } of this.#deadlines) controller.abort(new Killed());
      throw new Killed();
    }
    return fetch(url, init);
  }

  async #delay(ms: number, signal: AbortSignal): Promise<void> {
    this.waits.push(ms);
    this.now += ms;
    for (const { at, controller } of this.#deadlines) if (at <= this.now) controller.abort();
    // Requests of the test's own servers are answered meanwhile.
    await Bun.sleep(0);
    signal.throwIfAborted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fly[Symbol.asyncDispose]();
  }
}
