import { existsSync } from "node:fs";
import { readDaemonInfo } from "../api/daemon.ts";
import { SplError } from "../base/errors.ts";
import { defaultHome, homePaths } from "../base/home.ts";
import { type Env, loadConfig, readBaseUrl } from "./config.ts";
import { savedToken } from "./credentials.ts";

/** Which instance a command talks to, and what it shows there. */
export interface Target {
  /** Origin and path without a slash at the end. Over the socket only a name. */
  url: string;
  /** Unix socket of this home's daemon: its file permissions are the sign-in. Null for TCP. */
  socket: string | null;
  token: string | null;
  /** Where the choice came from. */
  from: "--url" | "SPL_SERVE_URL" | "default_url" | "local daemon";
}

/** Base URL under which the daemon of this home is spoken to over its socket. */
const LOCAL_URL = "http://localhost";
/** RFC 6750, section 2.1. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/**
 * `--url`, else `SPL_SERVE_URL`, else `default_url` of the config, else the local daemon (spec, section 6). A
 * loopback URL whose port is that of this home's daemon is reached by its socket. `SPL_TOKEN` counts only with
 * an explicit target; otherwise the token saved for exactly this base URL.
 * @throws SplError usage (a bad URL, a malformed token), cleartext_refused (a token over plain http off loopback)
 */
export function resolveTarget(flags: { url?: string | undefined }, env: Env): Target {
  const paths = homePaths(defaultHome(env));
  const chosen = chooseUrl(flags.url, env);
  if (!chosen) return { url: LOCAL_URL, socket: paths.socket, token: null, from: "local daemon" };
  const { url, from } = chosen;
  const address = new URL(url);
  if (isLoopback(address.hostname) && existsSync(paths.socket)) {
    const port = Number(address.port || (address.protocol === "https:" ? 443 : 80));
    const atRoot = address.pathname === "/";
    if (atRoot && readDaemonInfo(paths.daemon)?.port === port)
      return { url: LOCAL_URL, socket: paths.socket, token: null, from };
  }
  const token = (from === "default_url" ? null : env.SPL_TOKEN || null) ?? savedToken(env, url);
  const target: Target = { url, socket: null, token, from };
  if (token !== null) {
    // The token itself must not appear in a message.
    if (!TOKEN.test(token)) {
      throw new SplError("usage", "the token holds characters that no token has", {
        hint: "copy it again, without line ends and quotes",
      });
    }
    requireConfidential(target, "a token");
  }
  return target;
}

/**
 * Tokens and bundles never go over plain http off loopback.
 * @throws SplError cleartext_refused
 */
export function requireConfidential({ url, socket }: Target, what: string): void {
  const { protocol, hostname } = new URL(url);
  if (socket !== null || protocol === "https:" || isLoopback(hostname)) return;
  throw new SplError("cleartext_refused", `${url} is plain http: ${what} would be readable on the way`, {
    hint: "use https, or a tunnel to a loopback address",
  });
}

function chooseUrl(flag: string | undefined, env: Env): Pick<Target, "url" | "from"> | null {
  if (flag !== undefined) return { url: readBaseUrl(flag, "--url"), from: "--url" };
  if (env.SPL_SERVE_URL)
    return { url: readBaseUrl(env.SPL_SERVE_URL, "SPL_SERVE_URL"), from: "SPL_SERVE_URL" };
  const { default_url: url } = loadConfig(env);
  return url === null ? null : { url, from: "default_url" };
}

/** `localhost`, 127.0.0.0/8 and ::1 (RFC 6761, section 6.3; RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3). */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    hostname === "[::1]" ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  );
}
