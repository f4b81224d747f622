import { SplError } from "../../lib/base/errors.ts";

/**
 * Which names this instance answers to. A browser can be led to a loopback address under any name (DNS
 * rebinding), so an instance on loopback answers to its own names only.
 */
export interface HostPolicy {
  /** False for an instance that is bound to other addresses: what it is called there is not ours to know. */
  restricted: boolean;
  /** Host names beside the loopback ones, lowercase. */
  names: ReadonlySet<string>;
  /** Origin of the public URL, whose pages may call. */
  origin: string | null;
}

const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/;
const LOOPBACK = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/;

export function isLoopbackName(host: string): boolean {
  return LOOPBACK.test(host.includes(":") && !host.startsWith("[") ? `[${host}]` : host);
}

/** @throws SplError host_refused */
export function checkHost(request: Request, url: URL, policy: HostPolicy): void {
  const host = (request.headers.get("host") ?? url.host).toLowerCase();
  const name = HOST.exec(host)?.[1];
  if (name === undefined) throw new SplError("host_refused", "the Host header is not a host name");
  if (policy.restricted && !LOOPBACK.test(name) && !policy.names.has(name)) {
    throw new SplError("host_refused", `this instance does not answer to the name ${name}`, {
      hint: "use http://localhost and its port, or start it with spl serve --public-url URL",
    });
  }
  const origin = request.headers.get("origin");
  if (origin === null || origin === policy.origin) return;
  // Another page of this machine's browser is as foreign as any: name and port must be ours.
  if (origin !== `http://${host}` && origin !== `https://${host}`) {
    throw new SplError("host_refused", "pages of another origin may not call this instance");
  }
}
