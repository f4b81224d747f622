import ipaddr from "ipaddr.js";
import { SplError } from "../base/errors.ts";

/**
 * Which addresses this instance may connect to when a peer, a directory or a DID names them. Without a setting only
 * public unicast: whoever names a URL could otherwise make the instance talk to services of its own network.
 */
export interface AddressPolicy {
  /** Networks in CIDR notation that are allowed as well (`federation.allow_networks`). */
  networks: [ipaddr.IPv4 | ipaddr.IPv6, number][];
  /** `--insecure-localhost`: loopback is allowed. */
  loopback: boolean;
}

/** @throws SplError usage for what is no network in CIDR notation */
export function parseNetworks(texts: readonly string[]): AddressPolicy["networks"] {
  return texts.map((text) => {
    if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
    throw new SplError("usage", `federation.allow_networks: "${text}" is no network`, {
      hint: 'write it like "10.0.0.0/8" or "fd00::/8"',
    });
  });
}

/**
 * Whether an address may be dialled.
 * @param address textual IPv4 or IPv6
 */
export function mayDial(address: string, policy: AddressPolicy): boolean {
  // `process` unwraps IPv4-mapped IPv6.
  const plain = unwrap(ipaddr.process(address.replace(/%.*$/, "")));
  const range = plain.range();
  if (range === "unicast") return true;
  if (range === "loopback" && policy.loopback) return true;
  return policy.networks.some(
    ([network, bits]) => network.kind() === plain.kind() && plain.match(network as never, bits),
  );
}

/** The IPv4 address inside a NAT64 (RFC 6052) or 6to4 (RFC 3056) one, which is where a packet would end. */
function unwrap(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  if (!(address instanceof ipaddr.IPv6)) return address;
  const bytes = address.toByteArray();
  const range = address.range();
  if (range === "rfc6052") return new ipaddr.IPv4(bytes.slice(12));
  if (range === "6to4") return new ipaddr.IPv4(bytes.slice(2, 6));
  return address;
}
