import { systemClock } from "../../lib/base/clock.ts";
import { SplError } from "../../lib/base/errors.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { migrate } from "../../lib/hosting/database.ts";
import { resumeEnds } from "../../lib/hosting/ending.ts";
import { flyDriver } from "../../lib/hosting/fly/driver.ts";
import type { HostingPorts } from "../../lib/hosting/hosting.ts";
import { Registry } from "../../lib/hosting/registry.ts";
import { HostingService } from "../../lib/hosting/service.ts";
import { problemResponse } from "../stages/problem.ts";
import { makeHostingApp } from "./app.ts";
import { D1Database } from "./d1.ts";
import { readWorkerEnv, type WorkerEnv, type WorkerSettings } from "./worker_settings.ts";

/**
 * The hosting service on Cloudflare Workers: D1 remembers, driver fly makes the machines. `WorkerEnv` says what it has to be
 * told; it needs no compatibility flag, and a cron trigger of once a minute, which goes on with what no visitor's request is
 * there to finish.
 *
 * A request has a service of its own, since what one waits for another may not resolve; the lease of an instance keeps two
 * from working on it at once. Nobody here could count an instance's requests, so Fly's own proxy puts idle machines to
 * sleep and wakes them. The operator's routes are not reachable; an invitation for the word W is made by SQL:
 * `INSERT INTO invitations (hash, created_at, expires_at) VALUES ('<SHA-256 of W, hex>', <now>, <end>)`, Unix milliseconds.
 */
export default {
  async fetch(request: Request, env: WorkerEnv, ctx: ExecutionContext): Promise<Response> {
    let service: HostingService;
    try {
      service = await serviceOf(env, ctx);
    } catch (error) {
      // What is wrong is for whoever runs it, not for visitors.
      log("start-failed", { error: String(error) });
      return problemResponse(notSetUp(), log);
    }
    const client = request.headers.get("cf-connecting-ip") ?? "0.0.0.0";
    return makeHostingApp(service)(request, { client, stopping: service.hosting.ports.stopping });
  },

  async scheduled(_event: unknown, env: WorkerEnv, ctx: ExecutionContext): Promise<void> {
    const service = await serviceOf(env, ctx);
    await service.provisioner.resume();
    await resumeEnds(service.hosting, service.awake);
  },
};

/** What is used of a Worker's context. */
export interface ExecutionContext {
  waitUntil(task: Promise<unknown>): void;
}

/** What an isolate knows from one request to the next: plain facts, since all else is bound to its request. */
let known: WorkerSettings | null = null;

async function serviceOf(env: WorkerEnv, ctx: ExecutionContext): Promise<HostingService> {
  const db = new D1Database(env.DB);
  if (known === null) {
    const read = readWorkerEnv(env);
    await migrate(db);
    known = read;
  }
  const { settings, fly, key } = known;
  const ports: HostingPorts = {
    clock: systemClock,
    random: systemRandom,
    fetch: (url, init) => fetch(url, init),
    deadline: (ms) => AbortSignal.timeout(ms),
    // Nobody tells a Worker that it will end.
    stopping: new AbortController().signal,
    background: (task) => ctx.waitUntil(task),
    log,
  };
  const driver = flyDriver(fly, { ...ports, delay });
  return new HostingService({ registry: new Registry(db), driver, settings, ports, key });
}

function notSetUp(): SplError {
  return new SplError("hosting_unavailable", "the service cannot start", {
    hint: "if it says so again, tell who runs it: the Worker's log has the reason",
  });
}

/** Into the Worker's log, one JSON a line. */
function log(event: string, facts: object = {}): void {
  console.log(JSON.stringify({ event, ...facts }));
}

/** Rejects when the signal aborts. */
function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const end = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", end);
      resolve();
    }, ms);
    signal.addEventListener("abort", end, { once: true });
  });
}
