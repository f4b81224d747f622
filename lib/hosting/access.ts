import { JSON_TYPE } from "../api/media.ts";
import { SplError } from "../base/errors.ts";
import type { Hosting } from "./hosting.ts";
import { mint, stepFor, wake } from "./machine.ts";
import type { HostedInstance } from "./registry.ts";
import { newSecret, secretHash } from "./secrets.ts";

/** How often a bootstrap token may turn out to be void before it is traded. */
const MOST_TRADES = 5;

/** @throws SplError hosting_unavailable when the answer is not one of success */
export type Ask = (path: string, init: RequestInit) => Promise<Response>;

interface Grant {
  /** How many use it. */
  uses: number;
  opened: Promise<{ ask: Ask; revoke(): Promise<void> }>;
}

/**
 * Calls instances with all rights, by a token that ends with the call. Calls that overlap share one, since the bootstrap
 * token that each would trade for its own makes those before it void; one that its owner has not used is void afterwards.
 */
export class OwnerAccess {
  readonly #grants = new Map<string, Grant>();

  constructor(readonly hosting: Hosting) {}

  /** @throws SplError hosting_unavailable; what `use` throws */
  async use<T>(instance: HostedInstance, use: (ask: Ask) => Promise<T>): Promise<T> {
    const { id } = instance;
    const grant = this.#grants.get(id) ?? { uses: 0, opened: open(this.hosting, instance) };
    this.#grants.set(id, grant);
    grant.uses++;
    try {
      const { ask } = await grant.opened;
      return await use(ask);
    } finally {
      if (--grant.uses === 0) {
        if (this.#grants.get(id) === grant) this.#grants.delete(id);
        await grant.opened.then(({ revoke }) => revoke()).catch(() => undefined);
      }
    }
  }

  /** The instance was stopped under those who call it now; whoever comes after them wakes it and has a token of his own. */
  forget(id: string): void {
    this.#grants.delete(id);
  }
}

async function open(
  hosting: Hosting,
  instance: HostedInstance,
): Promise<{ ask: Ask; revoke(): Promise<void> }> {
  const { driver, settings, ports } = hosting;
  const step = stepFor(hosting, instance, settings.deadlines.boot + settings.deadlines.bootstrap);
  await wake(hosting, step);
  const lasting = `spl_live_hosting_${newSecret(ports.random)}`;
  const send = async (token: string, path: string, init: RequestInit): Promise<Response> => {
    const address = await driver.address(instance, step.handles);
    if (address === null) throw new SplError("hosting_unavailable", "the instance does not run");
    const headers = new Headers({ host: new URL(instance.url).host, ...address.headers });
    for (const [name, value] of new Headers(init.headers)) headers.set(name, value);
    headers.set("authorization", `Bearer ${token}`);
    return ports.fetch(address.origin + path, { ...init, headers, redirect: "manual" });
  };
  const trade = async (tries: number): Promise<Response> => {
    const response = await send(await mint(hosting, step), "/v1/token/trade", {
      method: "POST",
      headers: { "content-type": JSON_TYPE },
      body: JSON.stringify({ token_sha256: secretHash(lasting) }),
    });
    // Who minted in between, as the owner does for a new first-run link, has made this one void.
    if (response.status !== 401 || tries === 1) return accepted(response);
    await response.body?.cancel();
    return trade(tries - 1);
  };
  const traded = await trade(MOST_TRADES);
  const { id } = (await traded.json()) as { id: string };
  const ask: Ask = async (path, init) => accepted(await send(lasting, path, init));
  const revoke = async () => {
    await ask(`/v1/tokens/${id}`, { method: "DELETE" });
  };
  return { ask, revoke };
}

/** @throws SplError hosting_unavailable */
async function accepted(response: Response): Promise<Response> {
  if (response.ok) return response;
  await response.body?.cancel();
  throw new SplError("hosting_unavailable", `the instance answers with status ${response.status}`);
}
