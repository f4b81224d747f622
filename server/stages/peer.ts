import { isIP, isIPv6 } from "node:net";
import { isLoopbackName } from "./host.ts";

/** How a request came in. */
export interface Peer {
  transport: "tcp" | "unix";
  /** The client's address, null on a Unix socket. */
  remote: string | null;
  /** Lets this request be silent for as long as it likes. */
  patience?: () => void;
}

/**
 * The client with its own address: behind a proxy on this machine, the last one of `X-Forwarded-For`, which that proxy
 * wrote. From elsewhere the header is anyone's word and means nothing.
 */
export function clientOf(request: Request, peer: Peer): Peer {
  if (peer.remote === null || !isLoopback(peer.remote)) return peer;
  const forwarded = request.headers.get("x-forwarded-for")?.split(",").at(-1)?.trim();
  return forwarded !== undefined && isIP(forwarded) !== 0 ? { ...peer, remote: forwarded } : peer;
}

/** Whose attempts count together: an IPv4 address, the /64 of an IPv6 one. Null on the Unix socket. */
export function sourceOf({ transport, remote }: Peer): string | null {
  if (transport === "unix") return null;
  const address = (remote ?? "unknown").replace(/^::ffff:(?=[\d.]+$)/i, "");
  return isIPv6(address) ? `${prefix64(address)}::/64` : address;
}

/** The first four groups of an IPv6 address (RFC 4291, section 2.2), each in its shortest form. */
function prefix64(address: string): string {
  const [head, tail] = address.split("::").map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = tail === undefined ? 0 : 8 - head!.length - tail.length;
  const groups = [...head!, ...new Array<string>(Math.max(0, zeros)).fill("0"), ...(tail ?? [])];
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}

export function isLoopback(address: string): boolean {
  return isLoopbackName(address.replace(/^::ffff:/i, ""));
}
