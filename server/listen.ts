import { rmSync } from "node:fs";
import { SplError, systemCode } from "../lib/base/errors.ts";
import type { App } from "./app.ts";
import type { Tls } from "./tls.ts";

/** Seconds that a TCP connection may be silent; streams ask for patience. */
const IDLE_S = 60;
/** Requests that are still running this long after the stop are cut. */
const DRAIN_MS = 5000;

const common = {
  // Each route caps its body itself; bundles have no size that could be known here.
  maxRequestBodySize: Number.MAX_SAFE_INTEGER,
  development: false,
};

/**
 * Listens on TCP, with TLS 1.2 or 1.3 where there is a certificate, else in the clear.
 * @throws SplError port_in_use, daemon_failed
 */
export function listenTcp(app: App, host: string, port: number, tls: Tls | null): Bun.Server<undefined> {
  try {
    return Bun.serve({
      ...common,
      idleTimeout: IDLE_S,
      hostname: host,
      port,
      ...(tls && { tls }),
      // Outside development Bun would share the port with another daemon, and requests would reach either.
      reusePort: false,
      fetch: (request, server) =>
        app(request, {
          transport: "tcp",
          remote: server.requestIP(request)?.address ?? null,
          patience: () => server.timeout(request, 0),
        }),
    });
  } catch (error) {
    if (systemCode(error) === "EADDRINUSE") {
      throw new SplError("port_in_use", `port ${port} of ${host} is in use by another program`, {
        hint: "choose another with --port",
        cause: error,
      });
    }
    throw new SplError(
      "daemon_failed",
      `cannot listen on ${host} port ${port}: ${systemCode(error) ?? error}`,
      {
        hint: "choose another address with --host or another port with --port",
        cause: error,
      },
    );
  }
}

/**
 * Listens on a Unix socket that only the owner can open. The caller holds the home's lock, so a socket that is
 * there already belongs to nobody any more.
 * @throws SplError daemon_failed
 */
export function listenUnix(app: App, path: string): Bun.Server<undefined> {
  const umask = process.umask(0o077);
  try {
    rmSync(path, { force: true });
    const options = {
      ...common,
      // Bun cannot lift the limit for one request here, so there is none; its types know it for TCP only.
      idleTimeout: 0,
      unix: path,
      fetch: (request: Request) => app(request, { transport: "unix", remote: null }),
    };
    return Bun.serve(options as object as Bun.Serve.Options<undefined>);
  } catch (error) {
    throw new SplError("daemon_failed", `cannot listen on ${path}: ${systemCode(error) ?? error}`, {
      cause: error,
    });
  } finally {
    process.umask(umask);
  }
}

/** Stops accepting at once, lets running requests end, and cuts those that do not once the jobs have ended. */
export async function drain(server: Bun.Server<undefined>, jobsEnded: Promise<void>): Promise<void> {
  const drained = server.stop();
  await jobsEnded;
  const { promise: overdue, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, DRAIN_MS);
  await Promise.race([drained, overdue]);
  clearTimeout(timer);
  await server.stop(true);
}
