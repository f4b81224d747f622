import ipaddr from "ipaddr.js";
import type { AddressPolicy } from "../../lib/federation/addresses.ts";

type Networks = AddressPolicy["networks"];

/**
 * The client's address. Proxies that we trust append to `X-Forwarded-For` whom they saw, so the last one that is none of
 * them is the client; anybody else's header means nothing.
 * @param remote of the connection
 */
export function clientAddress(remote: string, forwarded: string | null, trusted: Networks): string {
  const hops = [...(forwarded ?? "").split(",").map((hop) => hop.trim()), remote];
  let client = remote;
  for (const hop of hops.reverse()) {
    if (!ipaddr.isValid(hop)) return client;
    client = hop;
    if (!isIn(hop, trusted)) return client;
  }
  return client;
}

/** Whose calls count together: an IPv4 address, the /64 of an IPv6 one, which one customer has. */
export function sourceOf(client: string): string {
  if (!ipaddr.isValid(client)) return client;
  const plain = ipaddr.process(client);
  if (plain.kind() === "ipv4") return plain.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${plain}/64`)}/64`;
}

function isIn(address: string, networks: Networks): boolean {
  const plain = ipaddr.process(address);
  return networks.some(
    ([network, bits]) => network.kind() === plain.kind() && plain.match(network as never, bits),
  );
}
