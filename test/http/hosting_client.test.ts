import { expect, test } from "bun:test";
import { parseNetworks } from "../../lib/federation/addresses.ts";
import { clientAddress, sourceOf } from "../../server/hosting/client.ts";

/** For whom a request comes, by what proxies say of it. */

const TRUSTED = parseNetworks(["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"]);

test.each([
  ["from anybody the header means nothing", "203.0.113.9", "6.6.6.6", "203.0.113.9"],
  ["a trusted proxy names the client", "10.0.0.1", "6.6.6.6", "6.6.6.6"],
  [
    "the client's own header comes before, and does not count",
    "10.0.0.1",
    "10.0.0.9, 1.1.1.1, 6.6.6.6",
    "6.6.6.6",
  ],
  ["through two trusted proxies", "10.0.0.1", "6.6.6.6, 10.0.0.2", "6.6.6.6"],
  [
    "a forged chain ends at the first whom nobody trusts",
    "10.0.0.1",
    "127.0.0.1, 6.6.6.6, 10.0.0.2",
    "6.6.6.6",
  ],
  ["only trusted ones: the first of them", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
  ["what is no address ends the chain", "10.0.0.1", "6.6.6.6, unknown", "10.0.0.1"],
  ["neither is one with a port", "10.0.0.1", "6.6.6.6:80", "10.0.0.1"],
  ["nor nothing", "10.0.0.1", "", "10.0.0.1"],
  ["IPv4 on a socket for both", "::ffff:10.0.0.1", "6.6.6.6", "6.6.6.6"],
  ["IPv6", "fd00::1", "2001:db8::7", "2001:db8::7"],
])("%s", (_, remote, forwarded, client) => {
  expect(clientAddress(remote, forwarded, TRUSTED)).toBe(client);
  expect(clientAddress(remote, forwarded, [])).toBe(remote);
});

test("calls count by IPv4 address and by /64, however they are written", () => {
  for (const same of ["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:c000:201"])
    expect(sourceOf(same)).toBe("192.0.2.1");
  const one = sourceOf("2001:db8:0:1::1");
  expect(sourceOf("2001:DB8::1:ffff:0:0:9")).toBe(one);
  expect(sourceOf("2001:db8:0:2::1")).not.toBe(one);
});
