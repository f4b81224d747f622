import { expect, test } from "bun:test";
import { TestApp } from "../kit/app.ts";
import { scenarios } from "../kit/scenario.ts";

scenarios("signing in", [
  {
    name: "TCP asks for a token",
    path: "/v1/status",
    remote: "192.0.2.7",
    status: 401,
    code: "unauthorized",
    holds: ["SPL_TOKEN"],
    lacks: ["did:sync"],
    answerHeaders: { "www-authenticate": 'Bearer realm="spl"' },
  },
  {
    name: "also from this machine",
    path: "/v1/status",
    remote: "127.0.0.1",
    status: 401,
    code: "unauthorized",
  },
  {
    name: "an unknown token is refused",
    path: "/v1/status",
    remote: "192.0.2.7",
    headers: { authorization: `Bearer spl_live_x_${"A".repeat(43)}` },
    status: 401,
    code: "unauthorized",
    lacks: ["AAAA"],
  },
  {
    name: "another scheme is refused",
    path: "/v1/status",
    remote: "192.0.2.7",
    headers: { authorization: "Basic YTpi" },
    status: 401,
    code: "unauthorized",
    lacks: ["YTpi"],
  },
  { name: "a token signs in", path: "/v1/status", as: "reader", status: 200, holds: ['"records":2'] },
  {
    name: "an unknown path tells no more without a token",
    path: "/v1/nope",
    remote: "192.0.2.7",
    status: 404,
    code: "not_found",
  },
  {
    name: "the description is public",
    path: "/openapi.json",
    remote: "192.0.2.7",
    status: 200,
    holds: ['"openapi":"3.1'],
  },
]);

scenarios("names and origins", [
  {
    name: "a foreign Host is refused",
    path: "/health",
    remote: "127.0.0.1",
    headers: { host: "evil.example" },
    status: 403,
    code: "host_refused",
    holds: ["evil.example"],
  },
  {
    name: "two Hosts are refused",
    path: "/health",
    remote: "127.0.0.1",
    headers: { host: "localhost, evil.example" },
    status: 403,
    code: "host_refused",
  },
  {
    name: "a Host with credentials is refused",
    path: "/health",
    remote: "127.0.0.1",
    headers: { host: "user@localhost" },
    status: 403,
    code: "host_refused",
  },
  {
    name: "localhost with a port is ours",
    path: "/health",
    remote: "127.0.0.1",
    headers: { host: "LocalHost:9100" },
    status: 200,
  },
  {
    name: "the IPv6 loopback is ours",
    path: "/health",
    remote: "::1",
    headers: { host: "[::1]:9100" },
    status: 200,
  },
  {
    name: "a page of another origin is refused",
    path: "/v1/status",
    remote: "127.0.0.1",
    headers: { host: "localhost:9100", origin: "https://evil.example" },
    status: 403,
    code: "host_refused",
  },
  {
    name: "a page of another port is refused",
    path: "/v1/status",
    as: "reader",
    headers: { host: "localhost:9100", origin: "http://localhost:3000" },
    status: 403,
    code: "host_refused",
  },
  {
    name: "a page without an origin is refused",
    path: "/v1/status",
    as: "reader",
    headers: { host: "localhost:9100", origin: "null" },
    status: 403,
    code: "host_refused",
  },
  {
    name: "a page of our own origin may call",
    path: "/v1/status",
    as: "reader",
    headers: { host: "localhost:9100", origin: "http://localhost:9100" },
    status: 200,
  },
]);

test("insecure localhost needs no token, from this machine alone", async () => {
  await using open = await TestApp.open({ insecureLocalhost: true });
  for (const remote of ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"]) {
    expect((await open.call("/v1/status", { remote })).status).toBe(200);
  }
  for (const remote of ["192.0.2.7", "::ffff:192.0.2.7", "fe80::1"]) {
    expect((await open.call("/v1/status", { remote })).status).toBe(401);
  }
  const foreign = await open.call("/v1/status", {
    remote: "127.0.0.1",
    headers: { host: "rebound.example" },
  });
  expect(foreign.status).toBe(403);
});

test("an expired token signs in no more", async () => {
  let now = 1_000_000;
  await using timed = await TestApp.open({ ports: { clock: () => now } });
  const expires_at = new Date(now + 60_000).toISOString();
  const request = { account: "brief", scopes: ["records:read"], expires_at };
  const { token } = await timed.json<{ token: string }>("/v1/tokens", { json: request });
  expect((await timed.call("/v1/status", { token })).status).toBe(200);
  now += 60_000;
  expect((await timed.call("/v1/status", { token })).status).toBe(401);
});

test("a token signs in while an import holds the writer, and its use is written down after", async () => {
  await using app = await TestApp.open();
  const token = await app.token(["records:read"]);
  const { store } = app.ctx.instance;
  const held = Promise.withResolvers<void>();
  const writing = store.transact(() => held.promise);
  for (let i = 0; i < 3; i++) expect((await app.call("/v1/status", { token })).status).toBe(200);
  const uses = () => store.read((reader) => reader.tokens());
  expect(await uses()).toMatchObject([{ lastUsedAt: null }]);
  held.resolve();
  await writing;
  await store.transact(() => undefined);
  expect(await uses()).toMatchObject([{ lastUsedAt: expect.any(Number) }]);
});
