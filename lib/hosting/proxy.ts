import { SplError } from "../base/errors.ts";
import type { Address } from "./types.ts";

export interface Forwarding {
  address: Address;
  /** Replaces the path of the request and begins with one slash; the query stays. */
  path?: string;
  /** The client's address, as this service saw it. */
  client: string;
  /** The instance's own, as in `Machine.url`: it answers to this name. */
  publicUrl: string;
  /** Where instances share a host name, no cookie may pass from one to another. */
  stripCookies?: boolean;
  fetch(url: string, init: RequestInit): Promise<Response>;
}

/** RFC 9110, section 7.6.1. What the client expects (10.1.1) was answered by this server before the body came. */
const HOP_BY_HOP = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"];
/** What only the proxy may say: instances believe it. RFC 7239 and what was before it. */
const FORWARDING = /^(?:forwarded$|x-forwarded-|x-real-ip$)/;

/**
 * The machine's answer to the request, both bodies as streams that go no faster than whoever takes them; the end of one
 * side, early or not, is that of the other. Neither encodings nor redirects are followed.
 * @throws SplError hosting_unavailable when there is no answer; not_found for a path that would not arrive as it is
 */
export async function forward(request: Request, forwarding: Forwarding): Promise<Response> {
  const { stripCookies = false } = forwarding;
  const url = target(request, forwarding);
  const safe = request.method === "GET" || request.method === "HEAD";
  const init: RequestInit & { duplex: "half"; decompress: false } = {
    method: request.method,
    headers: requestHeaders(request, forwarding),
    body: request.body,
    duplex: "half",
    redirect: "manual",
    signal: request.signal,
    decompress: false,
    // A kept connection may end as it is used, and Bun then sends again: only what is safe (RFC 9110, section 9.2.2).
    keepalive: safe,
  };
  try {
    const answer = await forwarding.fetch(url, init);
    const { status, statusText } = answer;
    return new Response(answer.body, { status, statusText, headers: answerHeaders(answer, stripCookies) });
  } catch (cause) {
    const why = request.signal.aborted
      ? "the client left before its instance answered"
      : "it does not answer";
    throw new SplError("hosting_unavailable", `the instance cannot be reached: ${why}`, {
      hint: "try again in a moment",
      cause,
    });
  }
}

/** @throws SplError not_found */
function target(request: Request, { address, path }: Forwarding): string {
  const { pathname, search } = new URL(request.url);
  const wanted = path ?? pathname;
  const url = URL.parse(address.origin + wanted + search);
  // Nothing may be read in another way behind than it was before the proxy; Bun drops the first of two slashes.
  const arrives = url?.origin === address.origin && url.pathname === wanted && url.search === search;
  if (arrives && !wanted.startsWith("//")) return url.href;
  throw new SplError("not_found", `there is nothing at ${wanted.slice(0, 200)}`);
}

function requestHeaders(request: Request, { address, client, publicUrl, stripCookies }: Forwarding): Headers {
  const headers = endToEnd(request.headers);
  for (const name of [...headers.keys()]) if (FORWARDING.test(name)) headers.delete(name);
  if (stripCookies) headers.delete("cookie");
  const { host, protocol } = new URL(publicUrl);
  headers.set("host", host);
  headers.set("x-forwarded-for", client);
  headers.set("x-forwarded-host", host);
  headers.set("x-forwarded-proto", protocol.slice(0, -1));
  for (const [name, value] of Object.entries(address.headers ?? {})) headers.set(name, value);
  return headers;
}

function answerHeaders(answer: Response, stripCookies: boolean): Headers {
  const headers = endToEnd(answer.headers);
  if (stripCookies) headers.delete("set-cookie");
  return headers;
}

/** Without what is meant for the next hop only, and what `Connection` names as such. */
function endToEnd(from: Headers): Headers {
  const headers = new Headers(from);
  const named = (from.get("connection") ?? "").split(",").map((name) => name.trim().toLowerCase());
  for (const name of [...headers.keys()]) {
    if (HOP_BY_HOP.includes(name) || named.includes(name) || name.startsWith("proxy-")) headers.delete(name);
  }
  return headers;
}
