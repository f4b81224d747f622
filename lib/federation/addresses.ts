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
    // Short and octal forms are refused: 10/8 would be read as 0.0.0.10/8.
    const plain = text.includes(":")
      ? ipaddr.IPv6.isValidCIDR(text)
      : ipaddr.IPv4.isValidCIDRFourPartDecimal(text);
    if (plain) return ipaddr.parseCIDR(text);
    throw new SplError("usage", `federation.allow_networks: "${text}" is no network`, {
      hint: 'write it like "10.0.0.0/8" or "fd00::/8"',
    });
  });
}

/** The policy with the address, or the loopback name, that a URL of the operator's own spells out. */
export function policyFor(url: string, policy: AddressPolicy): AddressPolicy {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  if (host === "localhost" || host.endsWith(".localhost")) return { ...policy, loopback: true };
  if (!ipaddr.isValid(host)) return policy;
  const address = ipaddr.parse(host);
  return { ...policy, networks: [...policy.networks, [address, address.toByteArray().length * 8]] };
}

/**
 * Whether an address may be dialled.
 * @param address textual IPv4 or IPv6
 */
export function mayDial(address: string, policy: AddressPolicy): boolean {
  // `process` unwraps IPv4-mapped IPv6.
  const plain = unwrap(ipaddr.process(address.replace(/%.*$/, "")));
  const range = plain.range();
  if (range === "unicast" && isAssigned(plain)) return true;
  if (range === "loopback" && policy.loopback) return true;
  return policy.networks.some(
    ([network, bits]) => network.kind() === plain.kind() && plain.match(network as never, bits),
  );
}

/** IPv6 hands out global unicast from 2000::/3 only (RFC 4291); ::127.0.0.1 and the like are nowhere. */
function isAssigned(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  return address.kind() === "ipv4" || (address.toByteArray()[0]! & 0xe0) === 0x20;
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
