import { Awake, type Machines } from "../../lib/hosting/awake.ts";
import { type Forwarding, forward } from "../../lib/hosting/proxy.ts";
import type { Address } from "../../lib/hosting/types.ts";
import { problemResponse } from "../../server/stages/problem.ts";

/** The one machine behind a `Front`, by its name among those that are awake. */
const KEY = "m";

/** A hosting service of one instance, on a free port: its proxy, and what keeps its machine awake. */
export class Front implements AsyncDisposable {
  readonly awake: Awake;
  readonly #server: Bun.Server<undefined>;
  /** What reached the function that forwards, as Bun spelled it. */
  readonly urls: string[] = [];
  path: ((pathname: string) => string) | undefined;
  publicUrl: string;
  stripCookies = false;

  constructor(machine: Address | Machines, options: { port?: number } = {}) {
    const machines = "origin" in machine ? { wake: async () => machine, sleep: async () => {} } : machine;
    this.awake = new Awake(machines, 1000, Date.now, (_, error) => {
      throw error;
    });
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: options.port ?? 0,
      development: false,
      idleTimeout: 1,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: async (request, server) => {
        server.timeout(request, 0);
        try {
          return await this.#answer(request, server.requestIP(request)!.address);
        } catch (error) {
          return problemResponse(error, () => undefined);
        }
      },
    });
    this.publicUrl = this.url;
  }

  /** Serves at `prefix` only, and cuts it off. */
  under(prefix: string): this {
    this.publicUrl = this.url + prefix;
    this.path = (pathname) => pathname.slice(prefix.length);
    return this;
  }

  /** The proxied machine's address as others reach it, without a prefix. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get port(): number {
    return this.#server.port!;
  }

  /** How many requests keep the machine awake. */
  get open(): number {
    return this.awake.open(KEY);
  }

  sweepNow(): Promise<boolean> {
    return this.awake.sleep(KEY);
  }

  #answer(request: Request, client: string): Promise<Response> {
    const { publicUrl, stripCookies, path } = this;
    this.urls.push(request.url);
    return this.awake.serve(KEY, (address) => {
      const forwarding: Forwarding = { address, client, publicUrl, stripCookies, fetch };
      return forward(
        request,
        path ? { ...forwarding, path: path(new URL(request.url).pathname) } : forwarding,
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}
