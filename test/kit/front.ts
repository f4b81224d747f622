import { Awake, type Machines } from "../../lib/hosting/awake.ts";
import { forward } from "../../lib/hosting/proxy.ts";
import type { Address } from "../../lib/hosting/types.ts";
import { problemResponse } from "../../server/stages/problem.ts";

/** The one machine behind a `Front`, by its name among those that are awake. */
const KEY = "m";

/** A hosting service of one instance, on a free port: its proxy, and what keeps its machine awake. */
export class Front implements AsyncDisposable {
  readonly awake: Awake;
  readonly #server: Bun.Server<undefined>;
  /** What is cut off from each path. */
  #prefix = "";
  publicUrl: string;
  stripCookies = false;

  constructor(machine: Address | Machines) {
    const machines = "origin" in machine ? { wake: async () => machine, sleep: async () => {} } : machine;
    this.awake = new Awake(machines, 1000, Date.now, (_, error) => {
      throw error;
    });
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      development: false,
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

  /** The machine is reached below `prefix`, which it does not see itself. */
  under(prefix: string): this {
    this.publicUrl = this.url + prefix;
    this.#prefix = prefix;
    return this;
  }

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

  /** Puts the machine to sleep unless a request needs it. */
  sleep(): ReturnType<Awake["sleep"]> {
    return this.awake.sleep(KEY);
  }

  #answer(request: Request, client: string): Promise<Response> {
    const { publicUrl, stripCookies } = this;
    const path = new URL(request.url).pathname.slice(this.#prefix.length);
    return this.awake.serve(KEY, (address) =>
      forward(request, { address, path, client, publicUrl, stripCookies, fetch }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}
