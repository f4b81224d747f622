import { SplError } from "../../base/errors.ts";
import type { Step } from "../types.ts";
import { type FlyApi, isFull, statusOf, Unsure } from "./api.ts";
import { HEALTH, machineConfig } from "./machine_config.ts";
import { appOf, flyName } from "./options.ts";
import { FlyMachine, FlyMachines, Lease, read } from "./shapes.ts";
import { dropVolume, ensureVolume, isEmpty, Placement } from "./storage.ts";

/** The one machine of an app: made, started, stopped, let in; all of it again without effect. */

/** Seconds. Whoever is killed with a lease holds up the next for so long. */
const LEASE_S = 30;
const LOOK_MS = 1000;
const HEALTH_MS = 5000;

export type Target = Pick<Step, "machine" | "handles" | "signal">;

/** Makes it, with a lease, and known to no proxy. Where its volume's host has no room it starts over elsewhere. */
export async function ensureMachine(api: FlyApi, step: Step): Promise<void> {
  const { machine, signal } = step;
  const app = appOf(api.settings, machine);
  const placement = new Placement(api, step);
  for (let round = 0; ; round++) {
    const found = await findMachine(api, step);
    if (found) {
      await step.note({ machine: found.id });
      return;
    }
    const volume = await ensureVolume(api, step, placement);
    const body = {
      name: app,
      region: volume.region,
      lease_ttl: LEASE_S,
      skip_service_registration: true,
      config: machineConfig(machine, app, api.settings, volume.id),
    };
    try {
      const answer = await api.once({ method: "POST", path: `/apps/${app}/machines`, body, signal });
      const made = read(FlyMachine, answer);
      await step.note({ machine: made.id, lease: made.nonce ?? "" });
      return;
    } catch (error) {
      if (isEmpty(step) && (isFull(error) || isStale(error))) {
        await dropVolume(api, step, volume);
        await placement.next(error as SplError);
      } else await api.pause(queued(error), round, signal);
    }
  }
}

/** 400 about a volume that Fly lists and yet cannot mount. */
function isStale(error: unknown): boolean {
  return statusOf(error) === 400 && /volume/.test((error as SplError).message);
}

/** A name that is in use (409) is that of a create whose answer was lost: the next look finds it. */
function queued(error: unknown): unknown {
  return statusOf(error) === 409 ? new Unsure(error as SplError, LOOK_MS) : error;
}

/**
 * Starts it where it does not run, lets requests in, and waits until one is answered.
 * @param cordoned what is assumed where Fly does not say it: a new machine is
 */
export async function bringUp(
  api: FlyApi,
  target: Target,
  { cordoned, version }: { cordoned: boolean; version?: string },
): Promise<void> {
  const machine = await settle(api, target, "started", version);
  if (machine.cordoned ?? cordoned) {
    // No proxy reaches a cordoned machine: only Fly's own check of it sees whether it is well.
    await passing(api, target, machine.id);
    const path = `${pathOf(api, target, machine.id)}/uncordon`;
    await withLease(api, target, machine.id, (nonce) =>
      api.call({ method: "POST", path, nonce, queues: true, signal: target.signal }),
    );
  }
  await answering(api, target);
}

/** Brings it to the state and waits for it. @throws SplError hosting_unavailable, also when there is no machine */
export async function settle(
  api: FlyApi,
  target: Target,
  wanted: "started" | "stopped",
  version?: string,
): Promise<FlyMachine> {
  const { signal } = target;
  const { waitS } = api.settings;
  for (let round = 0; ; round++) {
    const machine = await requireMachine(api, target);
    if (machine.state === wanted && (version === undefined || versionOf(machine) === version)) return machine;
    const path = pathOf(api, target, machine.id);
    // Of the lease that came with the machine; it may have run out, and then the next round goes without.
    const nonce = round === 0 && target.handles.lease ? String(target.handles.lease) : undefined;
    if (needsPush(machine.state, wanted, round)) {
      const verb = wanted === "started" ? "start" : "stop";
      await api.once({ method: "POST", path: `${path}/${verb}`, nonce, signal }).catch((error) => {
        if (isFull(error) && /insufficient|capacity/.test((error as SplError).message)) throw error;
        // On its way already, or leased: the wait says what came of it.
        const soon = nonce !== undefined || [409, 412].includes(statusOf(error) ?? 0);
        if (!soon && !(error instanceof Unsure)) throw error;
      });
    }
    const query = { state: wanted, version: versionOf(machine), timeout: `${waitS}` };
    try {
      await api.once({ method: "GET", path: `${path}/wait`, query, patienceMs: waitS * 1000, signal });
      if (round > 0) await api.rest(LOOK_MS, signal, late(`it is ${machine.state}`));
    } catch (error) {
      // 408: not yet.
      await api.pause(error, round, signal);
    }
  }
}

function needsPush(state: string, wanted: "started" | "stopped", round: number): boolean {
  if (wanted === "stopped") return state === "started" || (state === "suspended" && round === 0);
  return state === "stopped" || state === "suspended" || (state === "created" && round > 0);
}

/** Until Fly's check of it passes. */
async function passing(api: FlyApi, target: Target, id: string): Promise<void> {
  for (;;) {
    const machine = read(
      FlyMachine,
      await api.call({ method: "GET", path: pathOf(api, target, id), signal: target.signal }),
    );
    const status = machine.checks?.find(({ name }) => name === HEALTH)?.status ?? "unknown";
    if (status === "passing") return;
    await api.rest(LOOK_MS, target.signal, late(`its check is ${status}`));
  }
}

/** Until the instance answers where the world reaches it. */
async function answering(api: FlyApi, target: Target): Promise<void> {
  const url = `${originOf(api, appOf(api.settings, target.machine))}/health`;
  for (;;) {
    const said = await askHealth(api, url, target.signal);
    if (said === null) return;
    await api.rest(LOOK_MS, target.signal, late(`/health ${said}`));
  }
}

/** Null when it is well, else what is wrong. */
async function askHealth(api: FlyApi, url: string, signal: AbortSignal): Promise<string | null> {
  try {
    const response = await api.ports.fetch(url, {
      redirect: "manual",
      signal: AbortSignal.any([signal, AbortSignal.timeout(HEALTH_MS)]),
    });
    const text = await response.text();
    return response.status === 200 && text.includes('"ok"') ? null : `says ${response.status}`;
  } catch {
    return "does not answer";
  }
}

function late(why: string): SplError {
  return new SplError("hosting_unavailable", `the machine is not up: ${why}`);
}

/** Runs `work` with the machine's lease, waiting for whoever holds it. */
export async function withLease<T>(
  api: FlyApi,
  target: Target,
  id: string,
  work: (nonce: string) => Promise<T>,
): Promise<T> {
  const { signal } = target;
  const path = `${pathOf(api, target, id)}/lease`;
  const ask = { method: "POST", path, body: { ttl: LEASE_S, description: "spl" }, signal } as const;
  const held = target.handles.lease ? String(target.handles.lease) : undefined;
  // The one that came with the machine is prolonged; one that has run out, or is another's, is asked for anew.
  const prolonged =
    held === undefined
      ? null
      : await api.call({ ...ask, nonce: held }).catch((error) => {
          if (statusOf(error) === null) throw error;
          return null;
        });
  const { nonce } = read(Lease, prolonged ?? (await api.call({ ...ask, queues: true })));
  try {
    return await work(nonce);
  } finally {
    // Where this fails it runs out by itself.
    await api.once({ method: "DELETE", path, nonce, signal }).catch(() => undefined);
  }
}

/** The machine, null where there is none. */
export async function findMachine(api: FlyApi, { machine, signal }: Target): Promise<FlyMachine | null> {
  const app = appOf(api.settings, machine);
  const listed = await api.find({ method: "GET", path: `/apps/${app}/machines`, signal });
  const machines = listed === null ? [] : (read(FlyMachines, listed) ?? []);
  return machines.find(({ name, state }) => name === app && !state.startsWith("destroy")) ?? null;
}

/** @throws SplError hosting_unavailable */
export async function requireMachine(api: FlyApi, target: Target): Promise<FlyMachine> {
  const found = await findMachine(api, target);
  if (found) return found;
  throw new SplError(
    "hosting_unavailable",
    `there is no machine in the app ${appOf(api.settings, target.machine)}`,
    {
      hint: "ask the operator: it was removed, or never made",
    },
  );
}

/** Where the world reaches the app. */
export function originOf(api: FlyApi, app: string): string {
  return api.ports.reach?.(app) ?? `https://${flyName(app)}`;
}

export function versionOf({ version, instance_id }: FlyMachine): string {
  return version ?? instance_id ?? "";
}

export function pathOf(api: FlyApi, { machine }: Target, id: string): string {
  return `/apps/${appOf(api.settings, machine)}/machines/${encodeURIComponent(id)}`;
}
