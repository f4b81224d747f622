import { existsSync } from "node:fs";
import { readDaemonInfo } from "../api/daemon.ts";
import { SplError } from "../base/errors.ts";
import { defaultHome, homePaths } from "../base/home.ts";
import { type Env, loadConfig, readBaseUrl } from "./config.ts";
import { savedToken } from "./credentials.ts";

/** Which instance a command talks to. */
export interface Address {
  /** Origin and path without a slash at the end, as it was named. */
  url: string;
  /** Unix socket of this home's daemon: its file permissions are the sign-in. Null for TCP. */
  socket: string | null;
  /** Where the choice came from. */
  from: "--url" | "SPL_SERVE_URL" | "default_url" | "local daemon" | "hosting service";
}

/** An address and what is shown there. Over the socket the URL is only a name. */
export interface Target extends Address {
  token: string | null;
}

/** Base URL under which the daemon of this home is spoken to over its socket. */
const LOCAL_URL = "http://localhost";
/** RFC 6750, section 2.1. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
/** Far more than any token has, and less than any server's limit for a header. */
const MAX_TOKEN = 1024;

/**
 * `--url`, else `SPL_SERVE_URL`, else `default_url` of the config, else the local daemon (spec, section 6). A
 * loopback URL whose port is that of this home's daemon is reached by its socket. `SPL_TOKEN` counts only with
 * an explicit target; otherwise the token saved for exactly this base URL.
 * @throws SplError usage (a bad URL, a malformed token), cleartext_refused (a token over plain http off loopback)
 */
export function resolveTarget(flags: { url?: string | undefined }, env: Env): Target {
  const address = resolveAddress(flags, env);
  if (address.socket !== null) return { ...address, url: LOCAL_URL, token: null };
  const { token } = findToken(address, env) ?? { token: null };
  if (token !== null) requireSendable(address, token);
  return { ...address, token };
}

/**
 * Several instances at once. `SPL_TOKEN` can be meant for one of them only: it goes to the one that `SPL_SERVE_URL`
 * names, and to none where it names none of them.
 * @throws SplError as `resolveTarget`
 */
export function resolveTargets(urls: readonly string[], env: Env): Target[] {
  const bases = urls.map((url) => readBaseUrl(url, "the URL"));
  const { SPL_TOKEN, ...others } = env;
  const several = SPL_TOKEN && new Set(bases).size > 1;
  const meant = several && env.SPL_SERVE_URL ? readBaseUrl(env.SPL_SERVE_URL, "SPL_SERVE_URL") : null;
  return bases.map((url) => resolveTarget({ url }, several && url !== meant ? others : env));
}

/** The address alone, without a token. @throws SplError usage */
export function resolveAddress(flags: { url?: string | undefined }, env: Env): Address {
  const paths = homePaths(defaultHome(env));
  const chosen = chooseUrl(flags.url, env);
  if (!chosen) return { url: LOCAL_URL, socket: paths.socket, from: "local daemon" };
  const address = new URL(chosen.url);
  let socket: string | null = null;
  if (isLoopback(address.hostname) && address.pathname === "/" && existsSync(paths.socket)) {
    const port = Number(address.port || (address.protocol === "https:" ? 443 : 80));
    if (readDaemonInfo(paths.daemon)?.port === port) socket = paths.socket;
  }
  return { ...chosen, socket };
}

/** The token that goes to an address and where it was found, or null; over the socket there is none. */
export function findToken(
  { url, socket, from }: Address,
  env: Env,
): { token: string; from: "SPL_TOKEN" | "credentials" } | null {
  if (socket !== null) return null;
  const explicit = from === "--url" || from === "SPL_SERVE_URL";
  if (explicit && env.SPL_TOKEN) return { token: env.SPL_TOKEN, from: "SPL_TOKEN" };
  const token = savedToken(env, url);
  return token === null ? null : { token, from: "credentials" };
}

/**
 * Whether a text can be sent as a token, and to this address.
 * @throws SplError usage, which does not repeat the token; cleartext_refused
 */
export function requireSendable(address: Address, token: string): void {
  const wrong =
    token.length > MAX_TOKEN
      ? "is longer than any token"
      : TOKEN.test(token)
        ? null
        : "holds characters that no token has";
  if (wrong !== null) {
    throw new SplError("usage", `the token ${wrong}`, {
      hint: "copy it again, without line ends and quotes",
    });
  }
  requireConfidential(address, "a token");
}

/**
 * Tokens and bundles never go over plain http off loopback.
 * @throws SplError cleartext_refused
 */
export function requireConfidential({ url, socket }: Address, what: string): void {
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
