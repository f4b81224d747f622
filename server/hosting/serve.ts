import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delayed } from "node:timers/promises";
import { writeFileAtomic } from "../../lib/base/atomic_file.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { fileError, SplError } from "../../lib/base/errors.ts";
import { exists } from "../../lib/base/exists.ts";
import { type HomePaths, homePaths } from "../../lib/base/home.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { selfCommand } from "../../lib/base/runtime.ts";
import type { AddressPolicy } from "../../lib/federation/addresses.ts";
import { migrate } from "../../lib/hosting/database.ts";
import { flyDriver } from "../../lib/hosting/fly/driver.ts";
import type { FlyOptions } from "../../lib/hosting/fly/options.ts";
import type { HostingPorts, HostingSettings } from "../../lib/hosting/hosting.ts";
import { Registry } from "../../lib/hosting/registry.ts";
import { HostingService } from "../../lib/hosting/service.ts";
import type { Driver } from "../../lib/hosting/types.ts";
import { makeHome } from "../../lib/instance/home.ts";
import { HomeLock } from "../../lib/instance/lock.ts";
import { drain, listenTcp, listenUnix } from "../listen.ts";
import { type Echo, type Log, openLog } from "../log.ts";
import type { Tls } from "../tls.ts";
import { type HostingApp, makeHostingApp } from "./app.ts";
import { clientAddress } from "./client.ts";
import { ProcessDriver } from "./process_driver.ts";
import { SqliteDatabase } from "./sqlite.ts";

/** How often idle instances are looked for, at most, milliseconds. */
const SWEEP_MS = 30_000;
/** How often it is looked for what came to no end. */
const UNFINISHED_MS = 10_000;

export interface HostServeOptions {
  /** Everything of the service: its database, key, log, and the homes of its instances. */
  home: string;
  /** Address to listen on. */
  host: string;
  /** The first one stands in the URLs, unless `base` says otherwise. */
  ports: readonly number[];
  tls: Tls | null;
  /** The service's own name. */
  domain: string;
  /** Origin that it is reached at, or null for that of domain and first port. */
  base: string | null;
  settings: Omit<HostingSettings, "base">;
  /** Who may say for whom a request comes. */
  trusted: AddressPolicy["networks"];
  driver: DriverChoice;
  echo?: Echo;
}

export type DriverChoice =
  | { name: "process"; allowNetworks: readonly string[] }
  | { name: "fly"; options: FlyOptions };

export interface RunningHost {
  url: string;
  ports: number[];
  home: string;
  pid: number;
  socket: string;
  driver: string;
  /** Answers everyone that was let in, stops the instances, frees the home. May be called again. */
  stop(): Promise<void>;
}

/**
 * Serves a hosting service until it is stopped.
 * @throws SplError daemon_running, port_in_use, usage, file_unreadable, key_damaged, store_newer
 */
export async function serveHost(options: HostServeOptions): Promise<RunningHost> {
  const paths = homePaths(options.home);
  if (exists(paths.db)) {
    throw new SplError("usage", `${paths.home} is the home of an instance`, {
      hint: "set SPL_HOST_HOME to a folder of the hosting service's own",
    });
  }
  const undo = new AsyncDisposableStack();
  try {
    makeHome(paths);
    const lock = HomeLock.tryTake(paths);
    if (lock === null) {
      throw new SplError("daemon_running", `a hosting service runs on ${paths.home} already`, {
        hint: "stop it first, or set SPL_HOST_HOME to another folder",
      });
    }
    undo.defer(() => lock.release());
    const log = openLog(join(paths.logs, "host.log"), systemClock, { echo: options.echo });
    const key = hostKey(paths);
    const ready = Promise.withResolvers<HostingApp>();
    const stopping = new AbortController();
    const servers: Bun.Server<undefined>[] = [];
    undo.defer(() => Promise.all(servers.map((server) => server.stop(true))).then(() => undefined));
    for (const port of options.ports) {
      servers.push(
        listenTcp(visitors(ready.promise, options, stopping.signal), options.host, port, options.tls),
      );
    }
    const bound = servers.map((server) => server.port!);
    const base = options.base ?? ownOrigin(options.domain, options.tls !== null, bound[0]!);

    const db = new SqliteDatabase(join(paths.home, "host.db"));
    undo.defer(() => db.close());
    await migrate(db);
    const registry = new Registry(db);
    // Whoever holds one was killed: the home is ours alone.
    await registry.releaseAllLeases();
    const tasks = new Set<Promise<void>>();
    undo.defer(() => Promise.allSettled(tasks).then(() => undefined));
    const ports: HostingPorts = {
      clock: systemClock,
      random: systemRandom,
      fetch: (url, init) => fetch(url, { ...init, timeout: false } as BunFetchRequestInit),
      deadline: (ms) => AbortSignal.timeout(ms),
      stopping: stopping.signal,
      background(task) {
        tasks.add(task);
        void task.finally(() => tasks.delete(task));
      },
      log,
    };
    const driver = makeDriver(options.driver, paths, base, ports, undo);
    const settings = { ...options.settings, base };
    const service = new HostingService({ registry, driver, settings, ports, key });
    await service.resume();
    const app = makeHostingApp(service);
    ready.resolve(app);

    const sweeping = sweep(service, settings.idleMs);
    const goingOn = setInterval(() => ports.background(service.unfinished.sweep()), UNFINISHED_MS);
    undo.defer(() => {
      clearInterval(sweeping);
      clearInterval(goingOn);
    });
    undo.defer(async () => {
      stopping.abort();
      await Promise.all(servers.map((server) => drain(server, Promise.resolve())));
    });
    servers.push(
      listenUnix((request) => app(request, { client: null, stopping: stopping.signal }), paths.socket),
    );
    undo.defer(() => rmSync(paths.socket, { force: true }));
    log("host-start", { url: base, driver: driver.name, pid: process.pid });
    undo.defer(() => log("host-stop", { pid: process.pid }));
    const running = undo.move();
    let stopped: Promise<void> | undefined;
    return {
      url: base,
      ports: bound,
      home: paths.home,
      pid: process.pid,
      socket: paths.socket,
      driver: driver.name,
      stop() {
        stopped ??= running.disposeAsync();
        return stopped;
      },
    };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

function visitors(
  ready: Promise<HostingApp>,
  { trusted }: HostServeOptions,
  stopping: AbortSignal,
): Parameters<typeof listenTcp>[0] {
  return async (request, { remote, patience }) => {
    const app = await ready;
    const client = clientAddress(remote ?? "0.0.0.0", request.headers.get("x-forwarded-for"), trusted);
    return app(request, { client, stopping, ...(patience && { patience }) });
  };
}

function makeDriver(
  choice: DriverChoice,
  paths: HomePaths,
  base: string,
  ports: HostingPorts,
  undo: AsyncDisposableStack,
): Driver {
  if (choice.name === "fly") return flyDriver(choice.options, { ...ports, delay });
  const driver = new ProcessDriver({
    folder: join(paths.home, "instances"),
    command: selfCommand(),
    directory: base,
    allowNetworks: choice.allowNetworks,
    log: ports.log as Log,
  });
  undo.defer(() => driver.stop());
  return driver;
}

/** Rejects when the signal aborts. */
function delay(ms: number, signal: AbortSignal): Promise<void> {
  return delayed(ms, undefined, { signal });
}

function sweep(service: HostingService, idleMs: number | null): ReturnType<typeof setInterval> | undefined {
  if (idleMs === null) return undefined;
  return setInterval(() => void service.awake.sweep(), Math.min(SWEEP_MS, Math.max(50, idleMs / 4)));
}

/** What links follow from; made at the first start. */
function hostKey({ keys }: HomePaths): Uint8Array {
  const path = join(keys, "host.key");
  if (!exists(path)) writeFileAtomic(path, systemRandom(32));
  try {
    const key = new Uint8Array(readFileSync(path));
    if (key.length === 32) return key;
  } catch (error) {
    throw fileError(error, "read", path);
  }
  throw new SplError("key_damaged", `${path} is damaged: it has to have 32 bytes`, {
    hint: "put it back from a copy; with a new one, one-shot links that are open are void",
  });
}

function ownOrigin(domain: string, tls: boolean, port: number): string {
  return new URL(`${tls ? "https" : "http"}://${domain.includes(":") ? `[${domain}]` : domain}:${port}`)
    .origin;
}
