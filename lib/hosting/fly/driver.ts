import { SplError } from "../../base/errors.ts";
import type { Address, Driver, Handles, Machine } from "../types.ts";
import { FlyApi } from "./api.ts";
import { mintBootstrap } from "./bootstrap.ts";
import { bringUp, ensureMachine, findMachine, originOf, settle, type Target } from "./machine.ts";
import { appOf, type FlyOptions, type FlyPorts, readOptions } from "./options.ts";
import { ensureStorage } from "./storage.ts";

/** How long a request that waits for a machine may ask Fly whether it runs. */
const ADDRESS_MS = 10_000;
const GONE_MS = 1000;

/**
 * Machines on Fly.io, by its Machines API: an app for each instance, with addresses, a certificate, an encrypted volume
 * and one machine that runs `spl serve`. The operator needs an organization, a token of it, an image with `spl`, and
 * regions; see `FlyOptions`. It uses nothing but `fetch` and Web standards.
 * @throws SplError usage for options that cannot be
 */
export function flyDriver(options: FlyOptions, ports: FlyPorts): Driver {
  const api = new FlyApi(readOptions(options), ports);
  return {
    name: "fly",
    volume: (step) => ensureStorage(api, step),
    machine: (step) => ensureMachine(api, step),
    boot: async (step) => {
      await inTime(step, () => bringUp(api, step, { cordoned: true }));
      await step.note({ lease: "" });
    },
    mintBootstrap: (step) => inTime(step, () => mintBootstrap(api, step)),
    wake: async (step) => {
      if (!api.settings.autostop) await inTime(step, () => bringUp(api, step, { cordoned: false }));
    },
    sleep: async (step) => {
      await settle(api, step, "stopped");
    },
    address: (machine, handles) => addressOf(api, machine, handles),
    destroy: (step) => destroy(api, step),
  };
}

/** What came too late is a `boot_timeout`, with what was last seen. */
async function inTime<T>({ signal }: Target, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!signal.aborted) throw error;
    const last = error instanceof SplError ? `: ${error.message}` : "";
    throw new SplError("boot_timeout", `the instance did not come up in time${last}`, {
      hint: "try again; if it happens again, ask the operator",
    });
  }
}

async function addressOf(api: FlyApi, machine: Machine, handles: Handles): Promise<Address | null> {
  const address = { origin: originOf(api, appOf(api.settings, machine)) };
  if (api.settings.autostop) return address;
  const signal = AbortSignal.timeout(ADDRESS_MS);
  const found = await findMachine(api, { machine, handles, signal });
  return found?.state !== "started" || found.cordoned === true ? null : address;
}

/** The app and all that is in it; returns once Fly no longer knows it. */
async function destroy(api: FlyApi, { machine, signal }: Target): Promise<void> {
  const path = `/apps/${appOf(api.settings, machine)}`;
  for (;;) {
    const gone = await api.find({ method: "DELETE", path, query: { force: "true" }, signal });
    if (gone === null || (await api.find({ method: "GET", path, signal })) === null) return;
    const told = new SplError("hosting_unavailable", `Fly has not removed the app ${path.slice(6)} yet`, {
      hint: "try again later",
    });
    await api.rest(GONE_MS, signal, told);
  }
}
