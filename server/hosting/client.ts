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

function isIn(address: string, networks: Networks): boolean {
  const plain = ipaddr.process(address);
  return networks.some(
    ([network, bits]) => network.kind() === plain.kind() && plain.match(network as never, bits),
  );
}
