import { Database } from "bun:sqlite";
import { join } from "node:path";
import { SplError } from "../../lib/base/errors.ts";
import { eventText, type Facts } from "../../lib/base/log_line.ts";
import { migrate } from "../../lib/hosting/database.ts";
import type { HostingSettings } from "../../lib/hosting/hosting.ts";
import { DEFAULT_DEADLINES, DEFAULT_PLANS } from "../../lib/hosting/plans.ts";
import { Registry } from "../../lib/hosting/registry.ts";
import { HostingService } from "../../lib/hosting/service.ts";
import type { Address, Driver, Machine, Step } from "../../lib/hosting/types.ts";
import { makeHostingApp } from "../../server/hosting/app.ts";
import type { Visitor } from "../../server/hosting/route.ts";
import { SqliteDatabase } from "../../server/hosting/sqlite.ts";
import { ScratchHome } from "./spl.ts";

/** A request as an instance behind the proxy saw it. */
export interface Seen {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

/** Makes machines that are one server on this machine: it answers as a new instance does, and tells what it was asked. */
export class EchoDriver implements Driver, AsyncDisposable {
  readonly name = "echo";
  /** Ids of machines by what there is of them. */
  readonly volumes = new Set<string>();
  readonly running = new Set<string>();
  readonly seen: Seen[] = [];
  /** Runs before each step; what it throws is what the step throws. */
  before: (step: string, machine: Machine) => Promise<void> | void = () => undefined;
  /** The answer to what is not asked by the service itself. */
  answer: (seen: Seen) => Response = (seen) => Response.json(seen);
  #minted = 0;
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    fetch: (request) => this.#answer(request),
  });

  async #answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    if (pathname === "/health")
      return Response.json({ status: "ok", instance_did: "did:sync:instance:echo" });
    if (pathname === "/v1/token") return Response.json({});
    const { method, headers } = request;
    const seen = { method, path: pathname + search, headers: headers.toJSON(), body: await request.text() };
    this.seen.push(seen);
    return this.answer(seen);
  }

  /** What the test does then, but not longer than the step may take. */
  async #begin(step: string, machine: Machine, signal: AbortSignal): Promise<void> {
    const { promise: overdue, reject } = Promise.withResolvers<void>();
    overdue.catch(() => undefined);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    await Promise.race([this.before(step, machine), overdue]);
  }

  async volume({ machine, signal }: Step): Promise<void> {
    await this.#begin("volume", machine, signal);
    this.volumes.add(machine.id);
  }

  async machine({ machine, signal }: Step): Promise<void> {
    await this.#begin("machine", machine, signal);
  }

  async boot({ machine, signal }: Step): Promise<void> {
    await this.#begin("boot", machine, signal);
    this.running.add(machine.id);
  }

  async mintBootstrap({ machine, signal }: Step): Promise<string> {
    await this.#begin("mint", machine, signal);
    return `spl_boot_echo_${++this.#minted}`;
  }

  async wake({ machine, signal }: Step): Promise<void> {
    await this.#begin("wake", machine, signal);
    this.running.add(machine.id);
  }

  async sleep({ machine, signal }: Step): Promise<void> {
    await this.#begin("sleep", machine, signal);
    this.running.delete(machine.id);
  }

  async address({ id }: Machine): Promise<Address | null> {
    return this.running.has(id) ? { origin: `http://127.0.0.1:${this.#server.port}` } : null;
  }

  async destroy({ machine }: Omit<Step, "note">): Promise<void> {
    await this.before("destroy", machine);
    this.running.delete(machine.id);
    this.volumes.delete(machine.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}

/** The hosting service in this process, without a port: what is asked of it is a call. */
export class HostingHere<D extends Driver = EchoDriver> implements AsyncDisposable {
  readonly logged: string[] = [];
  readonly #tasks = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  /** Unix milliseconds, as the service is told. */
  now = Date.now();

  private constructor(
    readonly home: ScratchHome,
    readonly db: SqliteDatabase,
    readonly driver: D,
    settings: Partial<HostingSettings>,
  ) {
    const ports = {
      clock: () => this.now,
      random: (n: number) => crypto.getRandomValues(new Uint8Array(n)),
      fetch: (url: string, init?: RequestInit) => fetch(url, init),
      deadline: (ms: number) => AbortSignal.timeout(ms),
      stopping: this.#stopping.signal,
      background: (task: Promise<void>) => {
        this.#tasks.add(task);
        void task.finally(() => this.#tasks.delete(task));
      },
      log: (event: string, facts: Facts = {}) => {
        this.logged.push(eventText(event, facts));
      },
    };
    this.service = new HostingService({
      registry: new Registry(db),
      driver,
      settings: { ...SETTINGS, ...settings },
      ports,
      key: new Uint8Array(32).fill(7),
    });
    this.#app = makeHostingApp(this.service);
  }

  readonly service: HostingService;
  readonly #app: ReturnType<typeof makeHostingApp>;

  static open(settings: Partial<HostingSettings> = {}): Promise<HostingHere> {
    return HostingHere.with(new EchoDriver(), settings);
  }

  static async with<D extends Driver>(
    driver: D,
    settings: Partial<HostingSettings> = {},
    home = new ScratchHome(),
  ): Promise<HostingHere<D>> {
    const db = new SqliteDatabase(join(home.path, "host.db"));
    await migrate(db);
    return new HostingHere(home, db, driver, settings);
  }

  get base(): string {
    return this.service.hosting.settings.base;
  }

  /** A request as it arrives, from `client` (null: over the service's own socket). */
  request(
    path: string,
    init: RequestInit & { client?: string | null; host?: string | null; cookie?: string } = {},
  ): Promise<Response> {
    const { client = "192.0.2.1", host, cookie, ...rest } = init;
    const headers = new Headers(rest.headers);
    if (host !== null) headers.set("host", host ?? new URL(this.base).host);
    if (cookie !== undefined) headers.set("cookie", cookie);
    const visitor: Visitor = { client, stopping: this.#stopping.signal };
    return this.#app(new Request(this.base + path, { ...rest, headers, redirect: "manual" }), visitor);
  }

  /** The same with a JSON body, from the service's own page. */
  post(path: string, body: unknown, init: Parameters<HostingHere["request"]>[1] = {}): Promise<Response> {
    const headers = { "content-type": "application/json", origin: this.base, ...init.headers };
    return this.request(path, { method: "POST", body: JSON.stringify(body), ...init, headers });
  }

  /** An instance that was asked for: its owner's cookie, and how it stands once nothing more is to come. */
  async owned(label: string, cookie = ""): Promise<{ cookie: string; view: HostedView }> {
    const begun = await this.post("/v1/provision", { label }, { cookie });
    if (begun.status !== 202) throw new SplError("internal", await begun.text());
    const { id } = (await begun.json()) as HostedView;
    await this.settled();
    const own = begun.headers.get("set-cookie")?.split(";")[0] ?? cookie;
    const view = (await (await this.request(`/v1/provision/${id}`, { cookie: own })).json()) as HostedView;
    return { cookie: own, view };
  }

  /** Resolves when nothing goes on in the background. */
  async settled(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.allSettled(this.#tasks);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.settled();
    this.db.close();
    if (this.driver instanceof EchoDriver) await this.driver[Symbol.asyncDispose]();
    this.home[Symbol.dispose]();
  }
}

export interface HostedView {
  id: string;
  label: string;
  url: string;
  state: string;
  first_run_url: string | null;
  phases: { phase: string; state: string }[];
  failure: { code: string; phase: string; message: string; hint: string | null } | null;
}

const SETTINGS: HostingSettings = {
  base: "http://hosting.example:9200",
  addressing: "host",
  plans: DEFAULT_PLANS,
  signup: "open",
  mostPerOwner: 3,
  most: 1000,
  deadlines: DEFAULT_DEADLINES,
  idleMs: 1000,
};

/** Everything in a hosting database, as text. */
export function dumpOf(path: string): string {
  using db = new Database(path, { readonly: true });
  const tables = db.query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  return tables.map(({ name }) => JSON.stringify(db.query(`SELECT * FROM "${name}"`).all())).join("\n");
}
