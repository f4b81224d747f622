import type { HostedInstanceDetail, HostedInstanceSummary, Invitation } from "../api/hosting.ts";
import { homePaths, hostHome } from "../base/home.ts";
import type { Env } from "./config.ts";
import { HttpClient } from "./http.ts";

/** What who runs a hosting service may ask of it, over its own socket: file permissions are the sign-in. */
export class HostClient {
  readonly #http: HttpClient;

  constructor(env: Env) {
    const { socket } = homePaths(hostHome(env));
    this.#http = new HttpClient({ url: "http://localhost", socket, token: null, from: "hosting service" });
  }

  instances(): Promise<HostedInstanceSummary[]> {
    return this.#http.getJson("/v1/host/instances");
  }

  instance(label: string): Promise<HostedInstanceDetail> {
    return this.#http.getJson(pathOf(label));
  }

  operate(label: string, verb: "sleep" | "wake"): Promise<HostedInstanceSummary> {
    return this.#http.requestJson(`${pathOf(label)}/${verb}`, { method: "POST" });
  }

  remove(label: string): Promise<{ label: string; state: string }> {
    return this.#http.requestJson(pathOf(label), { method: "DELETE" });
  }

  /** @param lifeMs how long it waits to be used, milliseconds */
  invite(lifeMs: number | undefined): Promise<Invitation> {
    return this.#http.postJson("/v1/host/invitations", { life_ms: lifeMs });
  }
}

function pathOf(label: string): string {
  return `/v1/host/instances/${encodeURIComponent(label)}`;
}
