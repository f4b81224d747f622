import { rmSync } from "node:fs";
import { hostname } from "node:os";
import { type DaemonInfo, readLivingDaemon } from "../lib/api/daemon.ts";
import type { Env } from "../lib/backup/places.ts";
import { syncDirectory, writeFileAtomic } from "../lib/base/atomic_file.ts";
import { utf8 } from "../lib/base/bytes.ts";
import { SplError } from "../lib/base/errors.ts";
import { exists } from "../lib/base/exists.ts";
import { type HomePaths, homePaths } from "../lib/base/home.ts";
import { VERSION } from "../lib/base/version.ts";
import type { FederationContext } from "../lib/federation/context.ts";
import { RequestVerifier } from "../lib/federation/http_signature.ts";
import { Attempts } from "../lib/instance/attempts.ts";
import { seedBootstrap } from "../lib/instance/bootstrap.ts";
import { ClockOffsets } from "../lib/instance/clock_offsets.ts";
import { makeHome } from "../lib/instance/home.ts";
import { Instance, initInstance, type Ports } from "../lib/instance/instance.ts";
import { HomeLock } from "../lib/instance/lock.ts";
import type { Migration } from "../lib/store/connection.ts";
import { type App, makeApp } from "./app.ts";
import { BundleJobs } from "./bundle_jobs.ts";
import { Changes } from "./changes.ts";
import type { AppContext } from "./context.ts";
import { makeSyncs, startPoller } from "./federation.ts";
import { drain, listenTcp, listenUnix } from "./listen.ts";
import { type Echo, openLog } from "./log.ts";
import { keepNonces, takeNonces } from "./nonces.ts";
import { PairingWatch } from "./pairing.ts";
import { PeerStreams } from "./peer_streams.ts";
import { RequestMetrics } from "./request_metrics.ts";
import { Sessions } from "./sessions.ts";
import { cleartextWarning, resolveSettings, type SettingFlags, type Settings } from "./settings.ts";
import { type HostPolicy, isLoopbackName } from "./stages/host.ts";
import { Pace } from "./stages/pace.ts";
import { StewardWatch } from "./steward.ts";

/** How long a second daemon waits to learn who the first is. */
const NAME_MS = 2000;
const POLL_MS = 15;

/** What is undefined comes from the home's `config.toml`, else from the defaults. */
export interface ServeOptions extends SettingFlags {
  home: string;
  /** Publish, push, poll and connect to nothing. */
  isolated?: boolean;
  /** Serve the directory. */
  directory?: boolean;
  /** Take the identity back from the home that has superseded this one. */
  reclaim?: boolean;
  /** The DID's name part, if the instance is made now. */
  name?: string | undefined;
  /** SHA-256 of a bootstrap token that the instance is to accept, unless it knew it before. */
  bootstrap?: Uint8Array | null;
  /** Says where this machine keeps backups, the receipts of drills, and copies of what rollbacks remove. */
  env?: Env;
  ports?: Partial<Ports>;
  /** Hears what goes to the log. */
  echo?: Echo;
}

export interface RunningServer {
  instance_did: string;
  /** The public URL, else the bound address. */
  url: string;
  port: number;
  pid: number;
  home: string;
  socket: string;
  /** Answers everyone that was let in, closes the store and frees the home. May be called again. */
  stop(): Promise<void>;
}

/**
 * Serves the instance in `home`, which is made first where there is none. Order of opening: lock, TCP, store, Unix
 * socket, `daemon.json`, so that a port in use makes no new instance; the other way round when it stops, so that whoever
 * gets the lock finds all of it free. Requests that come before the store is open wait for it.
 * @throws SplError daemon_running, port_in_use, daemon_failed, and what `resolveSettings` and opening an instance throw
 */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const paths = homePaths(options.home);
  const settings = resolveSettings(options, paths.config);
  const undo = new AsyncDisposableStack();
  try {
    makeHome(paths);
    const lock = HomeLock.tryTake(paths) ?? (await refuseSecond(paths));
    undo.defer(() => lock.release());
    const ready = Promise.withResolvers<App>();
    const tcp = listenTcp(
      async (request, peer) => (await ready.promise)(request, peer),
      settings.host,
      settings.port,
      settings.tls,
    );
    undo.defer(() => tcp.stop(true));
    const migrations: Migration[] = [];
    const instance = await openInstance(options, (migration) => migrations.push(migration));
    undo.defer(() => instance.close());
    // What a killed daemon said of itself is true no longer.
    rmSync(paths.daemon, { force: true });
    const stopping = new AbortController();
    const attempts = await Attempts.load(instance);
    undo.defer(() => attempts.saved);
    const port = tcp.port!;
    const bound = `${settings.tls ? "https" : "http"}://${urlHost(settings.host)}:${port}`;
    const ctx = makeContext(instance, attempts, settings, options, bound, stopping.signal);
    undo.defer(() => ctx.steward.stop());
    // Before anything is accepted: another home may have taken the identity over while this one was stopped.
    await ctx.steward.start(options.reclaim ?? false);
    const app = makeApp(ctx);
    ready.resolve(app);

    const servers = [tcp];
    undo.defer(async () => {
      stopping.abort();
      const jobsEnded = ctx.jobs.stop();
      // What has these names is another daemon's where the home went away under this one. To stop a server on a socket
      // removes that by its name.
      const isForHome = lock.isForHome();
      const ending = isForHome ? servers : [tcp];
      await Promise.all([jobsEnded, ...ending.map((server) => drain(server, jobsEnded))]);
      if (!isForHome) return;
      keepNonces(paths, ctx.signatures.remembered);
      rmSync(paths.daemon, { force: true });
      // Before the store's log goes, which is what says that it may (`requireLog`).
      syncDirectory(paths.run);
    });
    servers.push(listenUnix(app, paths.socket));
    undo.defer(() => {
      if (lock.isForHome()) rmSync(paths.socket, { force: true });
    });
    const info: DaemonInfo = { pid: process.pid, url: ctx.url, port, started_at: ctx.startedAt };
    writeFileAtomic(paths.daemon, utf8(`${JSON.stringify(info)}\n`));

    for (const migration of migrations) ctx.log("upgrade", { ...migration });
    const { did } = await instance.store.read((reader) => instance.signer(reader));
    ctx.log("start", {
      version: VERSION,
      did,
      url: ctx.url,
      pid: process.pid,
      isolated: ctx.federation.isolated,
    });
    const poller = startPoller(ctx.federation, ctx.syncs);
    undo.defer(() => poller.stop());
    const pairing = new PairingWatch(ctx.federation);
    pairing.start();
    undo.defer(() => pairing.stop());
    if (cleartextWarning(settings) !== null) ctx.log("cleartext", { host: settings.host });
    undo.defer(() => ctx.log("stop", { pid: process.pid }));
    const running = undo.move();
    let stopped: Promise<void> | undefined;
    return {
      instance_did: did,
      url: ctx.url,
      port,
      pid: process.pid,
      home: paths.home,
      socket: paths.socket,
      stop: () => {
        stopped ??= running.disposeAsync();
        return stopped;
      },
    };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

/** Names the first daemon; one that is starting itself is given the time to say who it is. */
async function refuseSecond({ home, daemon }: HomePaths): Promise<never> {
  let info = readLivingDaemon(daemon);
  for (const since = performance.now(); !info && performance.now() - since < NAME_MS; ) {
    await Bun.sleep(POLL_MS);
    info = readLivingDaemon(daemon);
  }
  if (!info) {
    throw new SplError("daemon_running", `another spl is using ${home}`, {
      hint: "wait for it to end and try again",
    });
  }
  const { pid, url } = info;
  throw new SplError("daemon_running", `a daemon is running for ${home} already (pid ${pid}, ${url})`, {
    hint: "spl serve --stop ends it",
    detail: { pid, url },
  });
}

async function openInstance(
  { home, name, bootstrap, ports }: ServeOptions,
  onMigrated: (migration: Migration) => void,
): Promise<Instance> {
  if (!exists(homePaths(home).db)) await initInstance(home, name, ports);
  const instance = await Instance.open(home, ports, { ownsLog: true, onMigrated });
  try {
    const identity = await instance.store.read((reader) => instance.signer(reader));
    if (name !== undefined && name !== identity.name) {
      throw new SplError("conflict", `the instance is named ${identity.name}; its DID fixes that`, {
        hint: "leave out --name",
      });
    }
    await instance.mend();
    if (bootstrap) await seedBootstrap(instance, bootstrap);
    return instance;
  } catch (error) {
    await instance.close();
    throw error;
  }
}

function makeContext(
  instance: Instance,
  attempts: Attempts,
  settings: Settings,
  { insecureLocalhost = false, isolated = false, directory = false, env = {}, echo }: ServeOptions,
  bound: string,
  stopping: AbortSignal,
): AppContext {
  const { paths, ports } = instance;
  const log = openLog(paths.log, ports.clock, { echo, format: settings.logFormat });
  const clocks = new ClockOffsets(paths, ports.clock);
  const url = settings.publicUrl ?? bound;
  const changes = new Changes();
  const federation: FederationContext = {
    instance,
    url: () => (isolated ? null : reachableUrl(settings, url)),
    policy: { networks: settings.allowNetworks, loopback: insecureLocalhost },
    directory: settings.directory,
    autoApprove: settings.autoApprove,
    isolated,
    announce: () => changes.announce(),
    log,
    heardClock: (origin, date) => clocks.heard(origin, date),
  };
  return {
    instance,
    jobs: new BundleJobs(paths.home, log),
    changes,
    sessions: new Sessions(instance),
    attempts,
    pace: new Pace(ports.clock),
    metrics: new RequestMetrics(),
    log,
    url,
    hosts: hostPolicy(settings),
    insecureLocalhost,
    federation,
    syncs: makeSyncs(federation, changes),
    signatures: new RequestVerifier(ports.clock, takeNonces(paths)),
    peerStreams: new PeerStreams(ports.clock),
    steward: new StewardWatch(federation, settings.watchS * 1000),
    servesDirectory: directory,
    env,
    startedAt: ports.clock(),
    stopping,
  };
}

/** As an endpoint statement spells it; null for who listens everywhere and has not said where that is. */
function reachableUrl({ host, publicUrl }: Settings, text: string): string | null {
  if (publicUrl === null && /^(?:0\.0\.0\.0|::)$/.test(host)) return null;
  const { origin, pathname } = new URL(text);
  return origin + pathname.replace(/\/+$/, "");
}

function hostPolicy({ host, publicUrl, allowedHosts, allowedOrigins }: Settings): HostPolicy {
  const loopback = isLoopbackName(host);
  const own = loopback ? [] : [hostname().toLowerCase()];
  const shown = publicUrl === null ? [] : [new URL(publicUrl)];
  return {
    loopback,
    names: new Set([host.toLowerCase(), ...own, ...shown.map((url) => url.hostname), ...allowedHosts]),
    origins: new Set([...shown.map((url) => url.origin), ...allowedOrigins]),
  };
}

function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
