import { SplError } from "../../base/errors.ts";
import type { Machine, Step } from "../types.ts";
import { type FlyApi, type FlyRequest, isFull, reasonOf, statusOf } from "./api.ts";
import { guestOf } from "./machine_config.ts";
import { appOf } from "./options.ts";
import { App, Certificates, Ips, read, Volume, Volumes } from "./shapes.ts";

/** What has to be there before the machine: app, addresses, certificate, volume. */

const VOLUME = "spl_data";
const APPEARS_MS = 1000;
/** After so many looks an app whose name is taken is someone else's. */
const TAKEN_LOOKS = 4;
/** How often each region is asked for room. */
const ROUNDS = 2;

export async function ensureStorage(api: FlyApi, step: Step): Promise<void> {
  const app = appOf(api.settings, step.machine);
  await ensureApp(api, app, step.signal);
  await step.note({ app });
  for (const [type, has] of ADDRESSES) {
    await ensureAddress(api, app, type, has, step.signal);
    await step.note({ [type]: 1 });
  }
  const hostname = ownName(step.machine);
  if (hostname !== null) {
    await ensureCertificate(api, app, hostname, step.signal);
    await step.note({ certificate: hostname });
  }
  await ensureVolume(api, step, new Placement(api, step));
}

async function ensureApp(api: FlyApi, app: string, signal: AbortSignal): Promise<void> {
  const { org } = api.settings;
  const show = { method: "GET", path: `/apps/${app}`, signal } as const;
  const look = async () => ours(await api.find(show), app, org);
  await api.ensure(
    look,
    async () => {
      // With the key a repeated request finds the app of the first (`CreateAppRequest`).
      const body = { name: app, org_slug: org, idempotency_key: app };
      let patience = Number.POSITIVE_INFINITY;
      await api.once({ method: "POST", path: "/apps", body, signal }).catch((error) => {
        // By the request before, whose answer was lost, or by someone else: then it never appears here.
        if (reasonOf(error) !== "name_taken" && statusOf(error) !== 409) throw error;
        patience = TAKEN_LOOKS;
      });
      return appears(api, show, app, patience);
    },
    signal,
  );
}

/** Some of Fly's servers learn of a new app later than others, and say 404 or 401 until then. */
async function appears(api: FlyApi, show: FlyRequest, app: string, patience: number): Promise<object> {
  for (let look = 1; ; look++) {
    try {
      return ours(await api.call(show), app, api.settings.org)!;
    } catch (error) {
      if (statusOf(error) !== 404 && statusOf(error) !== 401) throw error;
      if (look >= patience) throw taken(app);
      await api.rest(APPEARS_MS, show.signal, error as SplError);
    }
  }
}

/** The app, null where there is none. @throws SplError conflict */
function ours(value: unknown, app: string, org: string): object | null {
  if (value === null) return null;
  const found = read(App, value);
  // `personal` stands for the slug of the token's holder.
  if (org === "personal" || found.organization === undefined || found.organization.slug === org) return found;
  throw taken(app);
}

function taken(app: string): SplError {
  return new SplError("conflict", `the app ${app} belongs to someone else on Fly`, {
    hint: "name another prefix for the apps of this service",
  });
}

interface Ip {
  ip: string | null;
  shared?: boolean | undefined;
}

const isV6 = ({ ip }: Ip) => ip?.includes(":") === true && !ip.startsWith("fdaa:");
const ADDRESSES: [type: string, has: (ip: Ip) => boolean][] = [
  ["shared_v4", (ip) => ip.shared === true && !isV6(ip)],
  ["v6", isV6],
];

async function ensureAddress(
  api: FlyApi,
  app: string,
  type: string,
  has: (ip: Ip) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const path = `/apps/${app}/ip_assignments`;
  const look = async () => {
    const { ips } = read(Ips, await api.call({ method: "GET", path, signal }));
    return ips?.find(has) ?? null;
  };
  await api.ensure(
    look,
    async () => (await api.once({ method: "POST", path, body: { type }, signal })) as Ip,
    signal,
  );
}

/** The instance's name where it has one of its own, else null: `/i/<label>/` is on the service's. */
function ownName({ url, label }: Machine): string | null {
  const { protocol, hostname } = new URL(url);
  return protocol === "https:" && hostname.startsWith(`${label}.`) && !hostname.endsWith(".fly.dev")
    ? hostname
    : null;
}

async function ensureCertificate(
  api: FlyApi,
  app: string,
  hostname: string,
  signal: AbortSignal,
): Promise<void> {
  const path = `/apps/${app}/certificates`;
  const look = async () => {
    const listed = await api.call({ method: "GET", path, query: { filter: hostname }, signal });
    return read(Certificates, listed).certificates?.find((each) => each.hostname === hostname) ?? null;
  };
  await api.ensure(
    look,
    async () => {
      await api.once({ method: "POST", path: `${path}/acme`, body: { hostname }, signal });
      return { hostname };
    },
    signal,
  );
}

/** Which region is asked for room next: each of them, and then each once more. */
export class Placement {
  #tried: number;

  constructor(
    private readonly api: FlyApi,
    private readonly step: Step,
  ) {
    this.#tried = Number(step.handles.placement ?? 0);
  }

  get region(): string {
    const { regions } = this.api.settings;
    return regions[this.#tried % regions.length]!;
  }

  /** There is no room for it here. @throws SplError hosting_unavailable when there is none anywhere */
  async next(full: SplError): Promise<void> {
    const { regions } = this.api.settings;
    this.#tried = (this.#tried + 1) % (regions.length * ROUNDS);
    await this.step.note({ placement: this.#tried });
    if (this.#tried > 0) return;
    throw full.retold({
      message: `Fly has no room for another machine in ${regions.join(", ")}`,
      hint: "try again later; the operator can name further regions",
    });
  }
}

/** The instance's one volume: it is found by its name, whoever made it. */
export async function ensureVolume(api: FlyApi, step: Step, placement: Placement): Promise<Volume> {
  const { machine, signal } = step;
  const path = `/apps/${appOf(api.settings, machine)}/volumes`;
  const noted = async (volume: Volume) => {
    await step.note({ volume: volume.id, region: volume.region });
    return volume;
  };
  for (let round = 0; ; round++) {
    const [kept, ...surplus] = await volumesOf(api, path, signal);
    // Two creates whose answers were lost may both have happened.
    for (const { id } of isEmpty(step) ? surplus : []) await drop(api, path, id, signal);
    if (kept) return noted(kept);
    const body = {
      name: VOLUME,
      region: placement.region,
      size_gb: machine.plan.disk_gb,
      encrypted: true,
      require_unique_zone: false,
      compute: guestOf(machine.plan),
    };
    try {
      return await noted(read(Volume, await api.once({ method: "POST", path, body, signal })));
    } catch (error) {
      if (isFull(error)) await placement.next(error as SplError);
      else await api.pause(error, round, signal);
    }
  }
}

/** Whether no machine has ever had the volume: only then it may be removed. */
export function isEmpty({ handles }: Step): boolean {
  return handles.machine === undefined;
}

/** A volume without a machine, on a host that has no room for one, is of no use. */
export async function dropVolume(api: FlyApi, step: Step, volume: Volume): Promise<void> {
  await drop(api, `/apps/${appOf(api.settings, step.machine)}/volumes`, volume.id, step.signal);
  await step.note({ volume: "" });
}

async function drop(api: FlyApi, path: string, id: string, signal: AbortSignal): Promise<void> {
  await api.find({ method: "DELETE", path: `${path}/${encodeURIComponent(id)}`, signal });
}

/** With the one in use first, then by age. */
async function volumesOf(api: FlyApi, path: string, signal: AbortSignal): Promise<Volume[]> {
  const all = read(Volumes, await api.call({ method: "GET", path, signal })) ?? [];
  const rank = ({ attached_machine_id, created_at = "" }: Volume) =>
    `${attached_machine_id ? 0 : 1} ${created_at}`;
  return all
    .filter(({ name, state }) => name === VOLUME && !state.includes("destroy"))
    .sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}
