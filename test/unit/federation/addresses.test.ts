import { describe, expect, test } from "bun:test";
import { type AddressPolicy, mayDial, parseNetworks } from "../../../lib/federation/addresses.ts";
import { safeFetch } from "../../../lib/federation/safe_fetch.ts";
import { vectorLines } from "../../vectors/vectors.ts";

const PUBLIC_ONLY: AddressPolicy = { networks: [], loopback: false };
const allowing = (...networks: string[]): AddressPolicy => ({
  networks: parseNetworks(networks),
  loopback: false,
});

describe("without a setting", () => {
  test.each(["1.1.1.1", "100.63.255.255", "172.32.0.1", "223.255.255.254"])("%s is public", (address) =>
    expect(mayDial(address, PUBLIC_ONLY)).toBe(true),
  );

  test.each(["2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"])(
    "%s is public",
    (address) => expect(mayDial(address, PUBLIC_ONLY)).toBe(true),
  );

  test.each([
    ["this network", "0.0.0.0"],
    ["this network", "0.1.2.3"],
    ["private", "10.0.0.1"],
    ["private", "172.16.0.1"],
    ["private", "172.31.255.255"],
    ["private", "192.168.1.1"],
    ["carrier-grade NAT", "100.64.0.1"],
    ["loopback", "127.0.0.1"],
    ["loopback", "127.255.255.254"],
    ["link-local, where clouds keep their metadata", "169.254.169.254"],
    ["protocol assignments", "192.0.0.8"],
    ["documentation", "192.0.2.1"],
    ["benchmarking", "198.18.0.1"],
    ["multicast", "224.0.0.1"],
    ["reserved", "240.0.0.1"],
    ["broadcast", "255.255.255.255"],
    ["unspecified", "::"],
    ["loopback", "::1"],
    ["IPv4-compatible loopback", "::127.0.0.1"],
    ["IPv4-compatible loopback in hex", "::7f00:1"],
    ["IPv4-compatible private", "::a00:1"],
    ["IPv4-mapped loopback", "::ffff:127.0.0.1"],
    ["IPv4-mapped link-local in hex", "::ffff:a9fe:a9fe"],
    ["IPv4-translated", "::ffff:0:127.0.0.1"],
    ["NAT64 of loopback", "64:ff9b::7f00:1"],
    ["NAT64 of private", "64:ff9b::10.1.2.3"],
    ["local NAT64", "64:ff9b:1::7f00:1"],
    ["6to4 of loopback", "2002:7f00:1::"],
    ["6to4 of private", "2002:c0a8:101::1"],
    ["Teredo", "2001::1"],
    ["documentation", "2001:db8::1"],
    ["documentation", "3fff::1"],
    ["discarded", "100::1"],
    ["unique local", "fd00::1"],
    ["link-local", "fe80::1"],
    ["link-local with a zone", "fe80::1%eth0"],
    ["site-local", "fec0::1"],
    ["multicast", "ff02::1"],
    ["never assigned", "4000::1"],
    ["never assigned", "8000::1"],
  ])("%s is not dialled: %s", (_, address) => expect(mayDial(address, PUBLIC_ONLY)).toBe(false));
});

describe("networks that are allowed", () => {
  test("and nothing beside them", () => {
    const policy = allowing("10.1.0.0/16", "fd12::/16");
    for (const address of ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd12::1", "8.8.8.8"]) {
      expect({ address, may: mayDial(address, policy) }).toEqual({ address, may: true });
    }
    for (const address of ["10.2.0.1", "127.0.0.1", "fd13::1", "::1", "192.168.0.1"]) {
      expect({ address, may: mayDial(address, policy) }).toEqual({ address, may: false });
    }
  });

  test("a network of one family allows nothing of the other", () => {
    expect(mayDial("127.0.0.1", allowing("::/0"))).toBe(false);
    expect(mayDial("::1", allowing("0.0.0.0/0"))).toBe(false);
  });

  test("--insecure-localhost allows loopback and nothing else", () => {
    const policy = { networks: [], loopback: true };
    for (const address of ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"]) {
      expect({ address, may: mayDial(address, policy) }).toEqual({ address, may: true });
    }
    for (const address of ["10.0.0.1", "169.254.169.254", "fe80::1", "0.0.0.0", "::"]) {
      expect({ address, may: mayDial(address, policy) }).toEqual({ address, may: false });
    }
  });

  test.each([
    "10.0.0.0",
    "10/8",
    "0x0a.0.0.0/8",
    "012.0.0.0/8",
    "10.0.0.0/33",
    "fd00::/129",
    "example.com/8",
    "",
  ])("%j is no network", (text) => {
    expect(() => parseNetworks([text])).toThrow(`federation.allow_networks: "${text}" is no network`);
  });
});

describe("addresses that attackers write", () => {
  const rows = vectorLines<{ url: string; expect: string }>("net/ssrf-urls.jsonl");
  /** What a resolver of an ordinary machine says to their names. */
  const resolve = async (host: string): Promise<string[]> => {
    if (host === "localhost") return ["127.0.0.1", "::1"];
    throw new Error("ENOTFOUND");
  };

  test("has all its rows", () => expect(rows.length).toBe(31));

  test.each(rows.map((row) => [row.url, row.expect]))("%s: %s", async (url) => {
    const error = await safeFetch(url, { method: "GET" }, { policy: PUBLIC_ONLY, resolve }).catch((e) => e);
    expect(["address_refused", "peer_unreachable"]).toContain(error.code);
    // Only a name that means nothing gets as far as the resolver.
    if (error.code === "peer_unreachable") expect(error.message).toEndWith("its name is unknown");
  });
});
