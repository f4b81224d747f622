import { SplError } from "../../lib/base/errors.ts";

/**
 * Which names this instance answers to, and whose pages may call it.
 *
 * A browser can be led to any address under a name that a stranger owns (DNS rebinding), and would then take the
 * instance for that stranger's site. So a name passes only if no stranger can own it:
 * - always the loopback names, the address it is bound to, the public URL's name and `allowed_hosts`;
 * - on loopback nothing else;
 * - on other addresses also the machine's own name, IP addresses (rebinding needs a name) and names that the public
 *   DNS does not hold, so that a box on a LAN is found under what its people call it, without a setting.
 * Any other name, as one of a home router's own domain, is for `allowed_hosts` in the home's `config.toml`.
 */
export interface HostPolicy {
  /** Bound to a loopback address. */
  loopback: boolean;
  /** Host names that pass by name, lowercase. */
  names: ReadonlySet<string>;
  /** Origins beside the instance's own whose pages may call: `allowed_origins` and that of the public URL. */
  origins: ReadonlySet<string>;
}

const NAME = "\\[[0-9a-f:.]+\\]|[a-z0-9._-]+";
const HOST_NAME = new RegExp(`^(?:${NAME})$`);
const HOST = new RegExp(`^(${NAME})(?::\\d{1,5})?$`);
const LOOPBACK = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/;
const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[.+\])$/;
// Without a dot (ICANN SAC053); RFC 6761, section 6.3; RFC 6762, section 3; RFC 8375; ICANN's reservation of 2024.
const PRIVATE_NAME = /^[^.]+$|\.(?:localhost|local|home\.arpa|internal)$/;

export function isLoopbackName(host: string): boolean {
  return LOOPBACK.test(host.includes(":") && !host.startsWith("[") ? `[${host}]` : host);
}

/** A lowercase name or address as a Host header has it, without a port. */
export function isHostName(text: string): boolean {
  return HOST_NAME.test(text);
}

/** @throws SplError host_refused */
export function checkHost(request: Request, url: URL, policy: HostPolicy): void {
  const host = (request.headers.get("host") ?? url.host).toLowerCase();
  const name = HOST.exec(host)?.[1];
  if (name === undefined) throw new SplError("host_refused", "the Host header is not a host name");
  if (!mayBeCalled(name, policy)) {
    throw new SplError("host_refused", `this instance does not answer to the name ${name}`, {
      hint: policy.loopback
        ? "use http://localhost and its port, or start it with spl serve --public-url URL"
        : "add the name to allowed_hosts in the config.toml of its home, or start it with spl serve --public-url URL",
    });
  }
  const origin = request.headers.get("origin");
  if (origin === null || policy.origins.has(origin)) return;
  // Another page of this machine's browser is as foreign as any: name and port must be ours.
  if (origin !== `http://${host}` && origin !== `https://${host}`) {
    throw new SplError("host_refused", "pages of another origin may not call this instance", {
      hint: "add the origin to allowed_origins in the config.toml of its home if you trust its pages",
    });
  }
}

function mayBeCalled(name: string, { loopback, names }: HostPolicy): boolean {
  if (LOOPBACK.test(name) || names.has(name)) return true;
  return !loopback && (ADDRESS.test(name) || PRIVATE_NAME.test(name));
}
