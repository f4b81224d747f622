import { join } from "node:path";
import { Miniflare, type MiniflareOptions } from "miniflare";
import { systemClock } from "../../lib/base/clock.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { migrate } from "../../lib/hosting/database.ts";
import { flyDriver } from "../../lib/hosting/fly/driver.ts";
import type { HostingSettings, Signup } from "../../lib/hosting/hosting.ts";
import { DEFAULT_DEADLINES, DEFAULT_PLANS } from "../../lib/hosting/plans.ts";
import { Registry } from "../../lib/hosting/registry.ts";
import { HostingService } from "../../lib/hosting/service.ts";
import { makeHostingApp } from "../../server/hosting/app.ts";
import { clientAddress } from "../../server/hosting/client.ts";
import { type D1Binding, D1Database } from "../../server/hosting/d1.ts";
import { networksOf } from "../../server/hosting/settings.ts";
import { SqliteDatabase } from "../../server/hosting/sqlite.ts";
import type { WorkerEnv } from "../../server/hosting/worker_settings.ts";
import { buildWorker } from "./build_worker.ts";
import { FlyServer } from "./fly_server.ts";
import { Visitor } from "./hosting.ts";
import { ScratchHome } from "./spl.ts";

/** One hosting service on this machine's loopback, wherever it runs; its machines are the compiled program, as on Fly. */

export interface HostWishes {
  signup?: Signup;
  addressing?: "host" | "path";
  most?: number;
  mostPerOwner?: number;
  bootSeconds?: number;
}

export abstract class Host implements AsyncDisposable {
  readonly fly = new FlyServer({ real: true });
  #visitors = 0;
  abstract readonly url: string;
  /** What it remembers. */
  abstract readonly registry: Registry;

  /** Someone with an address of their own. */
  visitor(): Visitor {
    const address = `198.51.100.${++this.#visitors}`;
    return new Visitor(this.url, { "cf-connecting-ip": address, "x-forwarded-for": address });
  }

  /** Has idle machines stopped, by whoever does that here. */
  abstract sleep(id: string): Promise<void>;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fly[Symbol.asyncDispose]();
  }
}

const KEY = new Uint8Array(32).fill(7);
const IMAGE = "registry.fly.io/spl:1";
const REGIONS = ["iad", "lhr"];

/** In this process, by Bun, with SQLite. */
export class BunHost extends Host {
  readonly registry: Registry;
  readonly #home = new ScratchHome();
  readonly #db: SqliteDatabase;
  readonly #server: Bun.Server<undefined>;
  readonly #service: HostingService;
  readonly #stopping = new AbortController();
  readonly #tasks = new Set<Promise<void>>();

  static async open(wishes: HostWishes = {}): Promise<BunHost> {
    const host = new BunHost(wishes);
    await migrate(host.#db);
    return host;
  }

  private constructor({ signup = "open", addressing = "host", ...wishes }: HostWishes) {
    super();
    this.#db = new SqliteDatabase(join(this.#home.path, "host.db"));
    this.registry = new Registry(this.#db);
    const stopping = this.#stopping.signal;
    const trusted = networksOf("127.0.0.0/8,::1/128", "--trusted-proxy");
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: (request, server) => {
        server.timeout(request, 0);
        const remote = server.requestIP(request)!.address;
        const client = clientAddress(remote, request.headers.get("x-forwarded-for"), trusted);
        return app(request, { client, stopping });
      },
    });
    const ports = {
      clock: systemClock,
      random: systemRandom,
      fetch: (url: string, init?: RequestInit) =>
        fetch(url, { ...init, timeout: false } as BunFetchRequestInit),
      deadline: (ms: number) => AbortSignal.timeout(ms),
      stopping,
      background: (task: Promise<void>) => {
        this.#tasks.add(task);
        void task.finally(() => this.#tasks.delete(task));
      },
      log: () => undefined,
    };
    const settings: HostingSettings = {
      base: this.url,
      ...{ signup, addressing, plans: DEFAULT_PLANS, idleMs: null },
      most: wishes.most ?? 1000,
      mostPerOwner: wishes.mostPerOwner ?? 3,
      deadlines: { ...DEFAULT_DEADLINES, ...(wishes.bootSeconds && { boot: wishes.bootSeconds * 1000 }) },
    };
    const { token, org, api } = this.fly;
    const driver = flyDriver(
      { token, org, api, image: IMAGE, regions: REGIONS },
      {
        ...ports,
        delay: (ms) => Bun.sleep(Math.min(ms, 100)),
        reach: (name) => this.fly.reach(name),
      },
    );
    this.#service = new HostingService({ registry: this.registry, driver, settings, ports, key: KEY });
    const app = makeHostingApp(this.#service);
  }

  get url(): string {
    return `http://localhost:${this.#server.port}`;
  }

  async sleep(id: string): Promise<void> {
    if (!(await this.#service.awake.sleep(id))) throw new Error("it does not sleep");
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#server.stop(true);
    await Promise.allSettled(this.#tasks);
    await super[Symbol.asyncDispose]();
    this.#db.close();
    this.#home[Symbol.dispose]();
  }
}

let script: string | null = null;

/** Built once for each process. */
function built(): string {
  script ??= buildWorker();
  return script;
}

/** On workerd, the runtime of Cloudflare Workers, with D1. */
export class WorkerdHost extends Host {
  url = "";
  /** What it has written to the Worker's log. */
  readonly logs: string[] = [];
  #registry!: Registry;
  readonly #worker: Miniflare;

  static async open(wishes: HostWishes = {}): Promise<WorkerdHost> {
    const host = new WorkerdHost();
    await host.begin(host.env(wishes));
    return host;
  }

  constructor() {
    super();
    this.#worker = new Miniflare(this.#options({}));
  }

  get registry(): Registry {
    return this.#registry;
  }

  get worker(): Miniflare {
    return this.#worker;
  }

  /** What it is told, but for its own address. */
  env(wishes: HostWishes): Omit<WorkerEnv, "DB" | "BASE_URL"> {
    const { signup = "open", addressing = "host", most, mostPerOwner, bootSeconds } = wishes;
    return {
      ...{ HOST_KEY: KEY.toHex(), FLY_API_TOKEN: this.fly.token, FLY_ORG: this.fly.org, FLY_IMAGE: IMAGE },
      ...{
        FLY_REGIONS: REGIONS.join(","),
        FLY_API_BASE: this.fly.api,
        SIGNUP: signup,
        ADDRESSING: addressing,
      },
      ...(most && { MAX_INSTANCES: `${most}` }),
      ...(mostPerOwner && { MAX_PER_OWNER: `${mostPerOwner}` }),
      ...(bootSeconds && { BOOT_SECONDS: `${bootSeconds}` }),
    };
  }

  /** Runs it with these variables, on the port that it has had since it was made. */
  async begin(env: Record<string, string>): Promise<void> {
    const { port } = await this.#worker.ready;
    this.url = `http://localhost:${port}`;
    await this.#worker.setOptions(this.#options({ BASE_URL: this.url, ...env }));
    // It makes its tables at the first request.
    await fetch(`${this.url}/health`);
    const db = await this.#worker.getD1Database("DB");
    this.#registry = new Registry(new D1Database(db as unknown as D1Binding));
  }

  #options(bindings: Record<string, string>): MiniflareOptions {
    return {
      modules: true,
      scriptPath: built(),
      compatibilityDate: "2026-07-01",
      host: "127.0.0.1",
      port: 0,
      d1Databases: ["DB"],
      bindings,
      // Every name of the world leads to the one server.
      outboundService: { external: { address: new URL(this.fly.api).host, http: {} } },
      handleStructuredLogs: ({ message }: { message: string }) => {
        this.logs.push(message);
      },
    };
  }

  async sleep(): Promise<void> {
    await this.fly.stopIdle();
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.dispose();
    await super[Symbol.asyncDispose]();
  }
}
