import { homePaths } from "../../lib/base/home.ts";
import type { FederationContext } from "../../lib/federation/context.ts";
import { RequestVerifier } from "../../lib/federation/http_signature.ts";
import { Attempts } from "../../lib/instance/attempts.ts";
import { Instance, initInstance, type Ports } from "../../lib/instance/instance.ts";
import { OWNER } from "../../lib/instance/scopes.ts";
import { mintToken } from "../../lib/instance/tokens.ts";
import { type App, makeApp } from "../../server/app.ts";
import { BundleJobs } from "../../server/bundle_jobs.ts";
import { Changes } from "../../server/changes.ts";
import type { AppContext } from "../../server/context.ts";
import { makeSyncs } from "../../server/federation.ts";
import { RequestMetrics } from "../../server/request_metrics.ts";
import { Sessions } from "../../server/sessions.ts";
import { Pace } from "../../server/stages/pace.ts";
import type { Peer } from "../../server/stages/peer.ts";
import { StewardWatch } from "../../server/steward.ts";
import { ScratchFolder } from "./store.ts";

export interface CallOptions {
  method?: string;
  headers?: Record<string, string>;
  /** Sent as it is. */
  body?: string | Uint8Array | ReadableStream<Uint8Array>;
  /** Sent as JSON. */
  json?: unknown;
  /** A bearer token; the request then comes over TCP. */
  token?: string;
  /** Over TCP, from this address, instead of the Unix socket. */
  remote?: string;
  signal?: AbortSignal;
}

/** The whole HTTP application on a real home, without a port. */
export class TestApp implements AsyncDisposable {
  #accounts = 0;

  private constructor(
    readonly folder: ScratchFolder,
    readonly ctx: AppContext,
    readonly app: App,
    /** Events and their facts, one line each. */
    readonly logged: string[],
    readonly stopping: AbortController,
  ) {}

  static async open(
    options: Omit<Partial<AppContext>, "federation"> & {
      name?: string;
      ports?: Partial<Ports>;
      federation?: Partial<FederationContext>;
    } = {},
  ): Promise<TestApp> {
    const { name = "local", ports = {}, federation = {}, ...overrides } = options;
    const folder = new ScratchFolder();
    const home = folder.file("home");
    await initInstance(home, name, ports);
    const instance = await Instance.open(home, ports);
    const logged: string[] = [];
    const log: AppContext["log"] = (event, facts = {}) =>
      void logged.push(`${event} ${JSON.stringify(facts)}`);
    const stopping = new AbortController();
    const federating: FederationContext = {
      instance,
      url: () => null,
      policy: { networks: [], loopback: false },
      directory: null,
      autoApprove: [],
      isolated: true,
      log,
      ...federation,
    };
    const changes = new Changes();
    const ctx: AppContext = {
      instance,
      jobs: new BundleJobs(home, log),
      changes,
      sessions: new Sessions(instance),
      attempts: await Attempts.load(instance),
      pace: new Pace(instance.ports.clock),
      metrics: new RequestMetrics(),
      log,
      url: "http://127.0.0.1:9100",
      hosts: { loopback: true, names: new Set(), origins: new Set() },
      insecureLocalhost: false,
      federation: federating,
      syncs: makeSyncs(federating, changes),
      steward: new StewardWatch(federating, 60_000),
      signatures: new RequestVerifier(instance.ports.clock),
      servesDirectory: false,
      copies: `${home}-rollbacks`,
      startedAt: instance.ports.clock(),
      stopping: stopping.signal,
      ...overrides,
    };
    return new TestApp(folder, ctx, makeApp(ctx), logged, stopping);
  }

  get home(): string {
    return this.ctx.instance.paths.home;
  }

  get run(): string {
    return homePaths(this.home).run;
  }

  call(
    path: string,
    { method, headers = {}, body, json, token, remote, signal }: CallOptions = {},
  ): Promise<Response> {
    const sent = new Headers(headers);
    if (json !== undefined && !sent.has("content-type")) sent.set("content-type", "application/json");
    if (token !== undefined) sent.set("authorization", `Bearer ${token}`);
    const content = json === undefined ? body : JSON.stringify(json);
    const request = new Request(`http://localhost:9100${path}`, {
      method: method ?? (content === undefined ? "GET" : "POST"),
      headers: sent,
      ...(content === undefined ? {} : { body: content }),
      ...(signal ? { signal } : {}),
    });
    const overTcp = token !== undefined || remote !== undefined;
    const peer: Peer = overTcp
      ? { transport: "tcp", remote: remote ?? "192.0.2.7" }
      : { transport: "unix", remote: null };
    return this.app(request, peer);
  }

  async json<T = Record<string, unknown>>(path: string, options: CallOptions = {}): Promise<T> {
    return (await (await this.call(path, options)).json()) as T;
  }

  /** A token of a new account with these scopes. */
  async token(scopes: string[], actors: string[] = []): Promise<string> {
    const account = `a${this.#accounts++}`;
    return (await mintToken(this.ctx.instance, { account, scopes, actors }, OWNER)).token;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping.abort();
    await this.ctx.steward.stop();
    await this.ctx.jobs.stop();
    await this.ctx.instance.close();
    this.folder[Symbol.dispose]();
  }
}

export const ALICE = "did:sync:user:alice";

/** One record as `POST /v1/records` takes it. */
export function emission(
  thread: string,
  text: string,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return { thread, act: "DO", actor: ALICE, body: { text }, ...more };
}

export function ndjsonOf(values: unknown[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join("");
}

/** The values of an NDJSON answer. */
export async function linesOf<T = Record<string, unknown>>(response: Response): Promise<T[]> {
  const text = await response.text();
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}
