import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { concatBytes } from "../base/bytes.ts";
import { SplError, systemCode } from "../base/errors.ts";
import { type AddressPolicy, mayDial } from "./addresses.ts";

/**
 * Requests to addresses that somebody else has named. The address that was checked is the one that is dialled,
 * redirects are not followed, nothing compressed is taken, and size and time have bounds.
 */

export interface SafeRequest {
  method: "GET" | "POST" | "PUT";
  headers?: Headers;
  body?: Uint8Array;
  /** Ends the request; besides its own bounds. */
  signal?: AbortSignal;
}

export interface SafeFetchOptions {
  policy: AddressPolicy;
  /** Milliseconds until the head of the answer must be here, the look-up of its name included. */
  headMs?: number;
  /** Addresses of a host name; injected by tests. */
  resolve?: (host: string) => Promise<string[]>;
}

/** An answer whose body is read with `chunks`, never otherwise. */
export interface SafeResponse {
  status: number;
  headers: Headers;
  /**
   * The body, bounded; can be read once.
   * @throws SplError peer_misbehaves, peer_unreachable; the caller's own reason when its signal ended the request
   */
  chunks(bounds: BodyBounds): AsyncGenerator<Uint8Array>;
  cancel(): Promise<void>;
}

export interface BodyBounds {
  /** Bytes. */
  most: number;
  /** Longest silence in milliseconds. */
  idleMs: number;
  /** Milliseconds for the whole body; null for a stream without end. */
  totalMs: number | null;
}

const HEAD_MS = 15_000;

/** @throws SplError peer_unreachable, address_refused, peer_misbehaves */
export async function safeFetch(
  text: string,
  request: SafeRequest,
  { policy, headMs = HEAD_MS, resolve = addressesOf }: SafeFetchOptions,
): Promise<SafeResponse> {
  const url = requireWeb(text);
  const ended = new AbortController();
  const timer = setTimeout(() => ended.abort(), headMs);
  const signal = request.signal ? AbortSignal.any([request.signal, ended.signal]) : ended.signal;
  let response: Response;
  try {
    const address = await permitted(url, policy, (host) => unlessEnded(resolve(host), signal));
    response = await dial(url, address, request, signal);
  } catch (cause) {
    if (request.signal?.aborted) throw request.signal.reason;
    if (ended.signal.aborted) throw unreachable(url, `no answer within ${headMs / 1000} seconds`, cause);
    throw cause instanceof SplError ? cause : unreachable(url, reason(cause), cause);
  } finally {
    clearTimeout(timer);
  }
  const refuse = async (why: string, redirects = false) => {
    ended.abort();
    return new SplError("peer_misbehaves", `${url.origin} ${why}`, {
      hint: "check that its URL is right and its instance up to date",
      detail: { redirects },
    });
  };
  if (response.status >= 300 && response.status < 400)
    throw await refuse("answers with a redirect, which is not followed", true);
  const encoding = response.headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity")
    throw await refuse(`sends a body encoded as ${encoding.slice(0, 20)}`);
  return {
    status: response.status,
    headers: response.headers,
    chunks: (bounds) => bounded(response, bounds, url, ended, request.signal),
    cancel: async () => ended.abort(),
  };
}

/** The one request, to the address that was checked. */
function dial(url: URL, address: string, request: SafeRequest, signal: AbortSignal): Promise<Response> {
  const dialled = new URL(url);
  dialled.hostname = isIP(address) === 6 ? `[${address}]` : address;
  const headers = new Headers(request.headers);
  headers.set("host", url.host);
  headers.set("accept-encoding", "identity");
  return fetch(dialled, {
    method: request.method,
    headers,
    redirect: "manual",
    signal,
    decompress: false,
    keepalive: false,
    ...(request.body && { body: request.body }),
    ...(url.protocol === "https:" && { tls: { serverName: url.hostname } }),
  } as BunFetchRequestInit);
}

/** A look-up cannot be called off: it is waited for no longer. */
async function unlessEnded<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const end = () => reject(signal.reason);
  if (signal.aborted) end();
  signal.addEventListener("abort", end);
  return Promise.race([work, ended]).finally(() => signal.removeEventListener("abort", end));
}

/** The whole body. @throws SplError peer_misbehaves, peer_unreachable */
export async function readWhole(response: SafeResponse, bounds: BodyBounds): Promise<Uint8Array> {
  return concatBytes(...(await Array.fromAsync(response.chunks(bounds))));
}

async function* bounded(
  response: Response,
  { most, idleMs, totalMs }: BodyBounds,
  url: URL,
  ended: AbortController,
  caller: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  if (!response.body) return;
  const reader = response.body.getReader();
  const overdue = totalMs === null ? null : setTimeout(() => ended.abort(), totalMs);
  let size = 0;
  try {
    for (;;) {
      const idle = setTimeout(() => ended.abort(), idleMs);
      const { done, value } = await reader
        .read()
        .catch((cause) => {
          if (caller?.aborted) throw cause;
          throw unreachable(url, ended.signal.aborted ? "its answer came too slowly" : reason(cause), cause);
        })
        .finally(() => clearTimeout(idle));
      if (done) return;
      size += value.length;
      if (size > most)
        throw new SplError(
          "peer_misbehaves",
          `${url.origin} sends more than ${most} bytes where fewer were due`,
        );
      yield value;
    }
  } finally {
    if (overdue !== null) clearTimeout(overdue);
    ended.abort();
  }
}

/** @throws SplError address_refused for other schemes, user info and what is no URL */
function requireWeb(text: string): URL {
  const url = URL.parse(text);
  if (
    url &&
    (url.protocol === "http:" || url.protocol === "https:") &&
    url.username === "" &&
    url.password === ""
  )
    return url;
  throw new SplError("address_refused", `${text.slice(0, 200)} is no http or https URL`);
}

/** An address of the URL's host that may be dialled; all of them must be allowed. */
async function permitted(
  url: URL,
  policy: AddressPolicy,
  resolve: (host: string) => Promise<string[]>,
): Promise<string> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const addresses = isIP(host)
    ? [host]
    : await resolve(host).catch((cause) => Promise.reject(unreachable(url, "its name is unknown", cause)));
  const wrong = addresses.find((address) => !mayDial(address, policy));
  if (wrong !== undefined) {
    throw new SplError("address_refused", `${url.origin} is at ${wrong}, which is no public address`, {
      hint: 'allow its network in the home\'s config.toml: federation.allow_networks = ["CIDR"]',
      detail: { address: wrong },
    });
  }
  const [address] = addresses;
  if (address === undefined) throw unreachable(url, "its name has no address");
  return address;
}

/** The system's addresses of a name; of names under `localhost` always loopback, whatever a resolver says (RFC 6761, 6.3). */
async function addressesOf(host: string): Promise<string[]> {
  if (/(?:^|\.)localhost\.?$/.test(host)) return ["127.0.0.1"];
  return (await lookup(host, { all: true, order: "ipv4first" })).map(({ address }) => address);
}

function unreachable(url: URL, why: string, cause?: unknown): SplError {
  return new SplError("peer_unreachable", `cannot reach ${url.origin}: ${why}`, { cause });
}

const REASONS: Record<string, string> = {
  ConnectionRefused: "connection refused",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "it closed the connection",
  EPROTO: "it does not speak TLS (https) there",
};

function reason(cause: unknown): string {
  const code = systemCode(cause);
  return code === undefined ? String(cause) : (REASONS[code] ?? code);
}
