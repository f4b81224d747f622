import { nextTurn } from "../../lib/base/turn.ts";
import { answerFaults, faultsOf, findOperation } from "./fly_description.ts";
import { FlyGuest } from "./fly_guest.ts";

/**
 * The Fly Machines API on a port of this machine: it keeps apps, addresses, certificates, volumes, machines and leases,
 * holds every request and each of its answers against Fly's description, and fails as it is told. Machines are made up,
 * or with `real` the compiled `spl` is run as their configuration says.
 */

/** What happens to the next call of an operation in the place of its answer. */
export type Fault =
  /** Nothing but this answer. */
  | { status: number; error?: string; reason?: string; headers?: Record<string, string> }
  /** It never answers; with `after` it has done what was asked. */
  | { hang: "before" | "after" }
  /** It has done what was asked, and the connection ends in the middle of the answer. */
  | { cut: true };

interface Volume {
  id: string;
  name: string;
  region: string;
  state: string;
  size_gb: number;
  encrypted: boolean;
  created_at: string;
  attached_machine_id?: string;
}

export interface ServedMachine {
  id: string;
  name: string;
  region: string;
  state: string;
  version: string;
  cordoned: boolean;
  config: Config;
  lease: { nonce: string; until: number } | null;
}

export interface Config {
  image?: string;
  env?: Record<string, string>;
  init?: { entrypoint?: string[]; cmd?: string[] };
  services?: { autostart?: boolean; autostop?: string }[];
  mounts?: { volume: string; path: string }[];
  metadata?: Record<string, string>;
  guest?: { cpus?: number; memory_mb?: number };
  [key: string]: unknown;
}

interface ServedApp {
  id: string;
  name: string;
  org: string;
  key: string | undefined;
  ips: { ip: string; shared: boolean }[];
  certificates: string[];
  volumes: Volume[];
  machines: ServedMachine[];
  edge: Bun.Server<undefined>;
}

export interface FlyServerOptions {
  /** Run the compiled `spl` as the machines' program. */
  real?: boolean;
  clock?: () => number;
}

type Body = Record<string, unknown>;
type Params = Record<string, string>;

class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly reason?: string,
  ) {
    super(message);
  }
}

const ORG = "acme";

export class FlyServer implements AsyncDisposable {
  readonly token = "FlyV1 fm2_c2VjcmV0LW9mLXRoZS1vcGVyYXRvcg==";
  readonly org = ORG;
  readonly apps = new Map<string, ServedApp>();
  /** Apps of somebody else: this token does not see them. */
  readonly foreign = new Set<string>();
  /** Operation of each request, in order. */
  readonly calls: string[] = [];
  /** What did not fit the description. A test that sees any has failed. */
  readonly violations: string[] = [];
  /** Regions whose hosts have no room for a volume. */
  readonly fullRegions = new Set<string>();
  /** How many waits end before the state is reached. */
  slowWaits = 0;
  /** Headers of each request that a machine's own name was asked for, in order. */
  readonly passed: Headers[] = [];
  /** Whether machines ever answer `/health`. */
  healthy = true;
  /** Answers with leases as the live API does rather than as it is described. */
  leaseInEnvelope = false;
  readonly #faults: { operation: string; fault: Fault }[] = [];
  readonly #guests = new Map<string, FlyGuest>();
  /** By machine: what its first request waits for. */
  readonly #starts = new Map<string, Promise<void>>();
  readonly #disks = new Map<string, string>();
  readonly #server: Bun.Server<undefined>;
  readonly #clock: () => number;
  readonly #real: boolean;
  #made = 0;

  constructor({ real = false, clock = Date.now }: FlyServerOptions = {}) {
    this.#real = real;
    this.#clock = clock;
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      // Of a client for which all names lead here.
      fetch: (request) => {
        const app = /^([^.]+)\.fly\.dev$/.exec(new URL(request.url).hostname)?.[1];
        return app === undefined ? this.#serve(request) : this.#throughEdge(app, request);
      },
    });
  }

  get api(): string {
    return `http://127.0.0.1:${this.#server.port}/v1`;
  }

  /** Where an app answers the world, also one that is not there. */
  reach(app: string): string {
    const port = this.apps.get(app)?.edge.port;
    return port === undefined ? `${this.api}/nowhere` : `http://127.0.0.1:${port}`;
  }

  /** What Fly's proxy does with machines that it may stop, when nobody has asked for them for a while. */
  async stopIdle(): Promise<void> {
    for (const machine of [...this.apps.values()].flatMap(({ machines }) => machines)) {
      if (machine.config.services?.[0]?.autostop !== "stop") continue;
      await this.#halt(machine.id);
      machine.state = "stopped";
    }
  }

  /** The next `times` calls of the operation end like this. */
  fail(operation: string, fault: Fault, times = 1): void {
    for (let i = 0; i < times; i++) this.#faults.push({ operation, fault });
  }

  /** Faults that no call has met yet. */
  get unmet(): number {
    return this.#faults.length;
  }

  async #serve(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const found = findOperation(request.method, url.pathname);
    if (found === null) {
      this.violations.push(`${request.method} ${url.pathname} is not described`);
      return problem(new Refusal(404, "page not found"));
    }
    const { operation, params } = found;
    const { operationId } = operation;
    this.calls.push(operationId);
    if (request.headers.get("authorization") !== `Bearer ${this.token}`)
      return problem(new Refusal(401, `invalid token ${request.headers.get("authorization")}`));
    const text = await request.text();
    const body = text === "" ? undefined : (JSON.parse(text) as Body);
    const faults = faultsOf(operation, request, url.searchParams, body);
    if (faults.length > 0) {
      this.violations.push(...faults.map((fault) => `${operationId}: ${fault}`));
      return problem(new Refusal(400, faults.join("; ")));
    }
    const at = this.#faults.findIndex((each) => each.operation === operationId);
    const fault = at < 0 ? undefined : this.#faults.splice(at, 1)[0]!.fault;
    if (fault && "status" in fault) {
      const { status, error = "injected", reason, headers = {} } = fault;
      return problem(new Refusal(status, error, reason), headers);
    }
    if (fault && "hang" in fault && fault.hang === "before") return never();
    const answer = await this.#answer(operationId, params, body ?? {}, url.searchParams, request.headers);
    if (answer instanceof Refusal) return problem(answer);
    const [status, value] = answer;
    this.violations.push(
      ...answerFaults(
        operation,
        status,
        this.leaseInEnvelope ? ((value as { data?: unknown }).data ?? value) : value,
      ).map((each) => `answer of ${operationId}: ${each}`),
    );
    if (fault) return "hang" in fault ? never() : cutShort();
    return value === null ? new Response(null, { status }) : Response.json(value, { status });
  }

  async #answer(
    operation: string,
    params: Params,
    body: Body,
    query: URLSearchParams,
    headers: Headers,
  ): Promise<[number, unknown] | Refusal> {
    try {
      const act = this.#acts[operation];
      if (!act) throw new Refusal(501, `${operation} is not kept here`);
      return await act(params, body, query, headers.get("fly-machine-lease-nonce"));
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
  }

  readonly #acts: Record<
    string,
    (
      params: Params,
      body: Body,
      query: URLSearchParams,
      nonce: string | null,
    ) => [number, unknown] | Promise<[number, unknown]>
  > = {
    Apps_create: (_, body) => [201, { id: this.#createApp(body), created_at: Math.floor(this.#clock()) }],
    Apps_show: (params) => {
      const { id, name, org, machines, volumes } = this.#app(params);
      const organization = { name: org, slug: org };
      return [200, { id, name, organization, machine_count: machines.length, volume_count: volumes.length }];
    },
    Apps_delete: async (params) => {
      const app = this.#app(params);
      for (const { id } of app.machines) await this.#halt(id);
      for (const { id } of app.volumes) this.#disks.delete(id);
      await app.edge.stop(true);
      this.apps.delete(app.name);
      return [202, null];
    },
    App_IPAssignments_list: (params) => [200, { ips: this.#app(params).ips }],
    App_IPAssignments_create: (params, { type }) => {
      const shared = type === "shared_v4";
      const ip = shared ? { ip: "66.241.124.10", shared } : { ip: `2a09:8280:1::${++this.#made}`, shared };
      this.#app(params).ips.push(ip);
      return [200, ip];
    },
    App_Certificates_list: (params, _, query) => {
      const names = this.#app(params).certificates.filter((name) => name.includes(query.get("filter") ?? ""));
      return [200, { certificates: names.map((hostname) => ({ hostname })), total_count: names.length }];
    },
    App_Certificates_acme_create: (params, { hostname }) => {
      const app = this.#app(params);
      if (app.certificates.includes(hostname as string))
        throw new Refusal(422, "Hostname already exists on app");
      app.certificates.push(hostname as string);
      return [201, { hostname, acme_requested: true, dns_requirements: { cname: `${app.name}.fly.dev` } }];
    },
    Volumes_list: (params) => [200, this.#app(params).volumes],
    Volumes_create: (params, body) => {
      const app = this.#app(params);
      const { name, region, size_gb, encrypted } = body as unknown as Volume;
      if (this.fullRegions.has(region))
        throw new Refusal(422, `no capacity for volumes in ${region}`, "insufficient_capacity");
      const created_at = new Date(this.#clock() + ++this.#made).toISOString();
      const volume: Volume = {
        ...{ id: `vol_${this.#made}`, name, region, state: "created" },
        ...{ size_gb, encrypted, created_at },
      };
      app.volumes.push(volume);
      return [200, volume];
    },
    Volume_delete: (params) => {
      const app = this.#app(params);
      const volume = app.volumes.find(({ id }) => id === params.volume_id);
      if (!volume) throw new Refusal(404, "volume not found");
      if (volume.attached_machine_id) throw new Refusal(412, "volume is attached to a machine");
      app.volumes = app.volumes.filter((each) => each !== volume);
      return [200, { ...volume, state: "destroyed" }];
    },
    Machines_list: async (params) => {
      const { machines } = this.#app(params);
      return [200, await Promise.all(machines.map((machine) => this.#shown(machine)))];
    },
    Machines_show: async (params) => [200, await this.#shown(this.#machine(params))],
    Machines_create: async (params, body) => {
      const machine = await this.#createMachine(this.#app(params), body);
      const { lease } = machine;
      return [200, { ...(await this.#shown(machine)), ...(lease && { nonce: lease.nonce }) }];
    },
    Machines_update: async (params, body, _, nonce) => {
      const machine = this.#machine(params);
      this.#requireLease(machine, nonce);
      const { config, current_version } = body as { config: Config; current_version?: string };
      if (current_version !== undefined && current_version !== machine.version)
        throw new Refusal(409, `machine is at version ${machine.version}`);
      await this.#halt(machine.id);
      Object.assign(machine, { config, version: this.#version() });
      await this.#launch(machine);
      return [200, await this.#shown(machine)];
    },
    Machines_start: async (params, _, __, nonce) => {
      const machine = this.#machine(params);
      this.#requireLease(machine, nonce);
      if (machine.state !== "stopped")
        throw new Refusal(412, `unable to start machine from current state: '${machine.state}'`);
      await this.#launch(machine);
      return [200, {}];
    },
    Machines_stop: async (params, _, __, nonce) => {
      const machine = this.#machine(params);
      this.#requireLease(machine, nonce);
      await this.#halt(machine.id);
      machine.state = "stopped";
      return [200, {}];
    },
    Machines_uncordon: (params, _, __, nonce) => {
      const machine = this.#machine(params);
      this.#requireLease(machine, nonce);
      machine.cordoned = false;
      return [200, {}];
    },
    Machines_wait: (params, _, query) => {
      const machine = this.#machine(params);
      const version = query.get("version");
      if (version !== null && version !== machine.version)
        throw new Refusal(404, "machine version not found");
      if (this.slowWaits > 0) this.slowWaits--;
      else if (machine.state === "starting") machine.state = "started";
      const wanted = query.get("state");
      if (machine.state !== wanted) {
        const words = `machine failed to reach desired state, ${wanted}, currently ${machine.state}`;
        throw new Refusal(408, `deadline_exceeded: ${words}`);
      }
      return [200, { ok: true, state: machine.state, version: machine.version }];
    },
    Machines_create_lease: (params, { ttl }, _, nonce) => {
      const machine = this.#machine(params);
      this.#requireLease(machine, nonce);
      const until = this.#clock() + Number(ttl) * 1000;
      machine.lease = { nonce: nonce ?? machine.lease?.nonce ?? `nonce${++this.#made}`, until };
      const lease = { nonce: machine.lease.nonce, expires_at: Math.floor(until / 1000), owner: "operator" };
      return [201, this.leaseInEnvelope ? { status: "success", data: lease } : lease];
    },
    Machines_release_lease: (params, _, __, nonce) => {
      const machine = this.#machine(params);
      this.#requireLease(machine, nonce);
      machine.lease = null;
      return [200, {}];
    },
  };

  #createApp(body: Body): string {
    const { name, org_slug, idempotency_key } = body as Record<string, string>;
    const known = this.apps.get(name!);
    if (known && known.key !== undefined && known.key === idempotency_key) return known.id;
    if (known || this.foreign.has(name!))
      throw new Refusal(422, "Validation failed: Name has already been taken", "name_taken");
    if (org_slug !== ORG) throw new Refusal(404, "organization not found");
    const edge = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: (request) => this.#throughEdge(name!, request),
    });
    const state = { ips: [], certificates: [], volumes: [], machines: [] };
    const id = `app${++this.#made}`;
    this.apps.set(name!, { id, name: name!, org: org_slug, key: idempotency_key, edge, ...state });
    return id;
  }

  async #createMachine(app: ServedApp, body: Body): Promise<ServedMachine> {
    const { name, region, config, lease_ttl, skip_service_registration } = body as {
      name: string;
      region: string;
      config: Config;
      lease_ttl?: number;
      skip_service_registration?: boolean;
    };
    const taken = app.machines.find((each) => each.name === name);
    if (taken)
      throw new Refusal(
        409,
        `already_exists: unique machine name violation, ${taken.id} has the name ${name}`,
      );
    const volume = app.volumes.find(({ id }) => id === config.mounts?.[0]?.volume);
    if (!volume || volume.region !== region) throw new Refusal(400, `volume not found in ${region}`);
    if (volume.attached_machine_id) throw new Refusal(400, `volume ${volume.id} is in use`);
    const lease =
      lease_ttl === undefined
        ? null
        : { nonce: `nonce${++this.#made}`, until: this.#clock() + lease_ttl * 1000 };
    const id = `m${++this.#made}`;
    volume.attached_machine_id = id;
    const machine = {
      ...{ id, name, region, config, lease },
      ...{ state: "created", version: this.#version(), cordoned: skip_service_registration === true },
    };
    app.machines.push(machine);
    await this.#launch(machine);
    return machine;
  }

  #version(): string {
    return `01H${String(++this.#made).padStart(23, "0")}`;
  }

  #app({ app_name }: Params): ServedApp {
    const app = this.apps.get(app_name!);
    if (!app) throw new Refusal(404, "Could not find App");
    return app;
  }

  #machine(params: Params): ServedMachine {
    const machine = this.#app(params).machines.find(({ id }) => id === params.machine_id);
    if (!machine) throw new Refusal(404, "machine not found");
    return machine;
  }

  #requireLease({ id, lease }: ServedMachine, nonce: string | null): void {
    if (lease === null || lease.until <= this.#clock()) {
      if (nonce !== null) throw new Refusal(404, "lease not found");
    } else if (nonce !== lease.nonce)
      throw new Refusal(409, `machine ID ${id} lease currently held by someone`);
  }

  async #launch(machine: ServedMachine): Promise<void> {
    machine.state = "starting";
    if (!this.#real) return;
    const volume = machine.config.mounts![0]!.volume;
    const guest = await FlyGuest.start(machine.config, this.#disks.get(volume));
    this.#disks.set(volume, guest.disk);
    this.#guests.set(machine.id, guest);
    machine.state = "started";
  }

  async #halt(id: string): Promise<void> {
    await this.#guests.get(id)?.stop();
    this.#guests.delete(id);
  }

  /** What is not so is left out, as programs in Go often do. */
  async #shown({ lease: _, cordoned, ...machine }: ServedMachine): Promise<object> {
    const guest = this.#guests.get(machine.id);
    const well =
      this.healthy && (this.#real ? ((await guest?.isWell()) ?? false) : machine.state === "started");
    const checks = [{ name: "health", status: well ? "passing" : "critical" }];
    return {
      ...machine,
      ...(cordoned && { cordoned }),
      ...{ instance_id: machine.version, host_status: "ok", checks },
    };
  }

  /** As Fly's proxy: only a started machine that is not cordoned, under the app's own name. */
  async #throughEdge(name: string, request: Request): Promise<Response> {
    this.passed.push(request.headers);
    const machine = this.apps.get(name)?.machines[0];
    if (!machine || machine.cordoned) return new Response("no machine", { status: 503 });
    if (machine.state === "stopped" && machine.config.services?.[0]?.autostart)
      this.#starts.set(machine.id, this.#launch(machine));
    await this.#starts.get(machine.id);
    if (machine.state !== "started") return new Response("no machine", { status: 503 });
    if (!this.healthy) return new Response("bad gateway", { status: 502 });
    return (
      this.#guests.get(machine.id)?.forward(request, `${name}.fly.dev`) ?? Response.json({ status: "ok" })
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
    for (const { edge } of this.apps.values()) await edge.stop(true);
    for (const id of this.#guests.keys()) await this.#halt(id);
    FlyGuest.wipe(this.#disks.values());
  }
}

function problem({ status, message, reason }: Refusal, headers: Record<string, string> = {}): Response {
  return Response.json({ error: message, ...(reason && { status: reason }) }, { status, headers });
}

function never(): Promise<Response> {
  return new Promise(() => undefined);
}

/** The head of an answer, the beginning of its body, and then nothing more. */
function cutShort(): Response {
  const body = new ReadableStream({
    async start(controller) {
      controller.enqueue(new TextEncoder().encode('{"id":'));
      await nextTurn();
      // Without a reason, which Bun would print.
      controller.error();
    },
  });
  return new Response(body, { headers: { "content-type": "application/json" } });
}
