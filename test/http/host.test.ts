import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { hostname } from "node:os";
import { Served } from "../kit/served.ts";

/** Which names an instance answers to, and what odd requests get, on real sockets. */

const close = "Connection: close\r\n\r\n";

function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
}

async function called(served: Served, name: string): Promise<number> {
  return statusOf(await served.raw(`GET /health HTTP/1.1\r\nHost: ${name}\r\n${close}`));
}

/** Names that a stranger can own, and what only looks like ours. */
const FOREIGN = [
  "evil.example",
  "evil.example:9100",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "192.168.1.5.evil.example",
  "box.lan.evil.example",
  "box.local.evil.example",
  "notlocal.example",
  "box.fritz.box",
];

describe("the Host header", () => {
  test("on loopback only the instance's own names are answered", async () => {
    await using served = await Served.start(
      { publicUrl: "https://box.example.com" },
      'allowed_hosts = ["Box.LAN", "10.0.0.7"]\n',
    );
    const own = ["localhost", "LOCALHOST:9100", "127.0.0.1", "127.0.0.9:1", "[::1]:9100"];
    const told = ["box.lan", "BOX.lan:9100", "10.0.0.7:9100", "box.example.com"];
    for (const name of [...own, ...told]) {
      expect([name, await called(served, name)]).toEqual([name, 200]);
    }
    for (const name of [...FOREIGN, "box", "box.local", "192.168.1.5", hostname(), "other.lan"]) {
      expect([name, await called(served, name)]).toEqual([name, 403]);
    }
  });

  test("a box on a LAN is found under what its people call it, and under no name that a stranger can own", async () => {
    await using served = await Served.start(
      { host: "0.0.0.0", publicUrl: "https://box.example.com" },
      'allowed_hosts = ["box.lan"]\n',
    );
    const names = ["localhost", "192.168.1.5:9100", "[fe80::1]:9100", "box", "box.local", "box.home.arpa"];
    for (const name of [...names, "box.lan", "box.example.com", hostname()]) {
      expect([name, await called(served, name)]).toEqual([name, 200]);
    }
    for (const name of [...FOREIGN, "other.lan"]) {
      expect([name, await called(served, name)]).toEqual([name, 403]);
    }
    const answer = await served.raw(`GET /health HTTP/1.1\r\nHost: evil.example\r\n${close}`);
    expect(answer).toContain('"code":"host_refused"');
    expect(answer).toContain("allowed_hosts");
    // Rebinding: name and origin agree, and both are the stranger's.
    const rebound = `GET /v1/status HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n${close}`;
    expect(statusOf(await served.raw(rebound))).toBe(403);
  });

  test("names on the command line come before those in the file", async () => {
    await using served = await Served.start(
      { allowedHosts: "spl-1.fly.dev, Two.example" },
      'allowed_hosts = ["box.lan"]\n',
    );
    for (const name of ["spl-1.fly.dev", "two.example:443"])
      expect([name, await called(served, name)]).toEqual([name, 200]);
    for (const name of ["box.lan", "fly.dev", "a.spl-1.fly.dev"])
      expect([name, await called(served, name)]).toEqual([name, 403]);
    expect(Served.start({ allowedHosts: "a.example,https://b.example" })).rejects.toThrow(
      '--allowed-hosts: "https://b.example" is no host name',
    );
  });

  test("the socket is for its owner, whatever the name", async () => {
    await using served = await Served.start();
    const asked = await served.unix("/v1/status", { headers: { host: "evil.example" } });
    expect(asked.status).toBe(200);
  });
});

describe("odd headers", () => {
  let served: Served;
  beforeAll(async () => {
    served = await Served.start({ insecureLocalhost: true });
  });
  afterAll(() => served[Symbol.asyncDispose]());

  const filler = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: 1\r\n`).join("");
  const cases: [string, string, number][] = [
    ["two Hosts", "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", 403],
    ["two Hosts that agree", "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 403],
    ["no Host", "GET /health HTTP/1.1\r\n", 400],
    ["an empty Host", "GET /health HTTP/1.1\r\nHost:\r\n", 400],
    ["a Host with a name before it", "GET /health HTTP/1.1\r\nHost: evil.example@localhost\r\n", 400],
    ["a Host with a path", "GET /health HTTP/1.1\r\nHost: localhost/evil.example\r\n", 400],
    ["a Host of two words", "GET /health HTTP/1.1\r\nHost: localhost evil.example\r\n", 400],
    ["a Host behind an address", "GET /health HTTP/1.1\r\nHost: [::1].evil.example\r\n", 400],
    ["a port that is none", "GET /health HTTP/1.1\r\nHost: localhost:99999\r\n", 400],
    // What counts is the Host that was checked; the authority in the request line leads nowhere.
    ["a foreign authority", "GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n", 200],
    [
      "our authority with a foreign Host",
      "GET http://localhost/health HTTP/1.1\r\nHost: evil.example\r\n",
      403,
    ],
    ["an authority without a Host", "GET http://localhost/health HTTP/1.1\r\n", 400],
    ["CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n", 400],
    ["Origin: null", "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n", 403],
    ["an empty Origin", "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nOrigin:\r\n", 403],
    [
      "two Origins",
      "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example\r\n",
      403,
    ],
    [
      "an Origin that begins as ours",
      "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost.evil.example\r\n",
      403,
    ],
    ["a header of 8 KiB", `GET /health HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(8192)}\r\n`, 200],
    ["a header of 64 KiB", `GET /health HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(65536)}\r\n`, 431],
    ["1000 headers", `GET /health HTTP/1.1\r\nHost: localhost\r\n${filler(1000)}`, 431],
    ["a path of 64 KiB", `GET /${"x".repeat(65536)} HTTP/1.1\r\nHost: localhost\r\n`, 431],
  ];
  for (const [name, head, status] of cases) {
    test(`${name}: ${status}`, async () => {
      const answer = await served.raw(head + close);
      expect({ answer: answer.slice(0, 400), status: statusOf(answer) }).toMatchObject({ status });
      expect((await served.tcp("/health")).status).toBe(200);
    });
  }
});
