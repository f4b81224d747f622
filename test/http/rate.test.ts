import { expect, test } from "bun:test";
import type { MintedToken } from "../../lib/api/wire.ts";
import { Attempts } from "../../lib/instance/attempts.ts";
import { clientOf, sourceOf } from "../../server/stages/peer.ts";
import { TestApp } from "../kit/app.ts";

const MINUTE_MS = 60_000;
const WRONG = "spl_live_x_wrong";
const HOME = "192.0.2.7";

/** Statuses of `n` requests with a wrong token from `remote`. */
async function guess(app: TestApp, n: number, remote = HOME, token = WRONG): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < n; i++) statuses.push((await app.call("/v1/status", { remote, token })).status);
  return statuses;
}

function trade(app: TestApp, token: string, remote = HOME): Promise<Response> {
  return app.call("/v1/token/trade", { token, remote, json: { token_sha256: "a".repeat(64) } });
}

async function mintedBootstrap(app: TestApp): Promise<string> {
  return (await app.json<MintedToken>("/v1/bootstrap-tokens", { method: "POST" })).token;
}

/** Everything that was written behind is on disk. */
async function settled(app: TestApp): Promise<void> {
  await app.ctx.attempts.saved;
}

async function events(app: TestApp): Promise<{ event: string; detail: object }[]> {
  const { items } = await app.json<{ items: { event: string; detail: object }[] }>("/v1/audit?limit=1000");
  return items.filter(({ event }) => event.startsWith("sign-in"));
}

test("after twenty wrong tokens an address has to wait, and is told until when", async () => {
  let now = Date.UTC(2026, 0, 1);
  await using app = await TestApp.open({ ports: { clock: () => now } });
  expect(await guess(app, 10)).toEqual(new Array(10).fill(401));
  now += 9 * MINUTE_MS;
  expect(await guess(app, 10)).toEqual(new Array(10).fill(401));
  const blocked = await app.call("/v1/status", { remote: HOME, token: WRONG });
  expect([blocked.status, blocked.headers.get("retry-after")]).toEqual([429, "60"]);
  expect(await blocked.json()).toMatchObject({
    code: "rate_limited",
    hint: "try again after 2026-01-01T00:10:00.000Z",
  });
  expect(await guess(app, 1, "192.0.2.8")).toEqual([401]);
  now += MINUTE_MS;
  expect(await guess(app, 1)).toEqual([401]);
});

test("meanwhile a good token passes, and no secret that could be guessed is looked at, right or wrong", async () => {
  await using app = await TestApp.open();
  const token = await app.token(["records:read"]);
  const bootstrap = await mintedBootstrap(app);
  await guess(app, 21);
  expect(await guess(app, 3, HOME, token)).toEqual([200, 200, 200]);
  expect(await guess(app, 1)).toEqual([429]);
  for (const secret of [bootstrap, WRONG]) {
    const refused = await trade(app, secret);
    expect([refused.status, Number(refused.headers.get("retry-after")) > 500]).toEqual([429, true]);
  }
  expect((await trade(app, bootstrap, "192.0.2.8")).status).toBe(201);
});

test("many trades at once get no further than one after the other", async () => {
  await using app = await TestApp.open();
  const answers = await Promise.all(Array.from({ length: 60 }, () => trade(app, "spl_boot_bootstrap_wrong")));
  const statuses = answers.map(({ status }) => status).sort();
  expect(statuses).toEqual([...new Array(20).fill(401), ...new Array(40).fill(429)]);
});

test("what needs no secret, or proves an old one, is no guess", async () => {
  await using app = await TestApp.open();
  const { id, token } = await app.json<MintedToken>("/v1/tokens", {
    json: { account: "old", scopes: ["records:read"] },
  });
  await app.call(`/v1/tokens/${id}`, { method: "DELETE" });
  for (let i = 0; i < 30; i++) {
    expect((await app.call("/v1/status", { remote: HOME })).status).toBe(401);
    expect(await guess(app, 1, HOME, token)).toEqual([401]);
    expect((await app.call("/v1/token/trade", { json: { token_sha256: "a".repeat(64) } })).status).toBe(401);
  }
  expect(await guess(app, 1)).toEqual([401]);
});

test("a home counts as one, however many addresses it has", () => {
  const source = (remote: string | null) => sourceOf({ transport: "tcp", remote });
  expect(source("2001:db8:0:1::7")).toBe("2001:db8:0:1::/64");
  expect(source("2001:0DB8:0000:0001:aaaa:bbbb:cccc:dddd")).toBe("2001:db8:0:1::/64");
  expect(source("2001:db8:0:2::7")).not.toBe(source("2001:db8:0:1::7"));
  expect(source("::1")).toBe("0:0:0:0::/64");
  expect(source("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
  expect(source("::ffff:192.0.2.7")).toBe("192.0.2.7");
  expect(source("64:ff9b::192.0.2.7")).toBe("64:ff9b:0:0::/64");
  expect(source(null)).not.toBeNull();
  expect(sourceOf({ transport: "unix", remote: null })).toBeNull();
});

test("behind a proxy on this machine the client has its own address, from elsewhere it cannot claim one", () => {
  const remoteOf = (remote: string, forwarded?: string) =>
    clientOf(
      new Request(
        "http://localhost/",
        forwarded === undefined ? {} : { headers: { "x-forwarded-for": forwarded } },
      ),
      { transport: "tcp", remote },
    ).remote;
  expect(remoteOf("127.0.0.1", "203.0.113.9, 198.51.100.4")).toBe("198.51.100.4");
  expect(remoteOf("::1", "2001:db8::9")).toBe("2001:db8::9");
  expect(remoteOf("::ffff:127.0.0.1", "198.51.100.4")).toBe("198.51.100.4");
  expect(remoteOf("127.0.0.1")).toBe("127.0.0.1");
  expect(remoteOf("127.0.0.1", "unknown")).toBe("127.0.0.1");
  expect(remoteOf("198.51.100.4", "203.0.113.9")).toBe("198.51.100.4");
});

test("who comes through a proxy is not this machine, even for --insecure-localhost", async () => {
  await using app = await TestApp.open({ insecureLocalhost: true });
  const headers = { "x-forwarded-for": "198.51.100.4" };
  expect((await app.call("/v1/status", { remote: "127.0.0.1", headers })).status).toBe(401);
  expect((await app.call("/v1/status", { remote: "127.0.0.1" })).status).toBe(200);
});

test("a restart forgives nothing, and the end of the window does", async () => {
  let now = Date.UTC(2026, 0, 1);
  await using app = await TestApp.open({ ports: { clock: () => now } });
  await guess(app, 25);
  await guess(app, 3, "192.0.2.8");
  await settled(app);
  const again = await Attempts.load(app.ctx.instance);
  expect(() => again.check(HOME)).toThrow("too many wrong tokens");
  expect(() => again.check("192.0.2.8")).not.toThrow();
  now += 10 * MINUTE_MS;
  expect(() => again.check(HOME)).not.toThrow();
  again.fail("192.0.2.9");
  await again.saved;
  const rows = await app.ctx.instance.store.read((reader) => reader.attempts());
  expect(rows).toEqual([{ source: "192.0.2.9", failures: 1, since: now }]);
});

test("a clock that is set back keeps nobody out for longer", async () => {
  let now = Date.UTC(2026, 0, 2);
  await using app = await TestApp.open({ ports: { clock: () => now } });
  await guess(app, 21);
  now = Date.UTC(2026, 0, 1);
  expect(await guess(app, 1)).toEqual([401]);
});

test("a crowd of addresses costs no more than a fixed number, and frees nobody who waits", async () => {
  await using app = await TestApp.open();
  const { attempts, instance } = app.ctx;
  for (let i = 0; i < 20; i++) attempts.fail(HOME);
  for (let i = 0; i < 10_000; i++) attempts.fail(`2001:db8:${i.toString(16)}:0::/64`);
  expect(() => attempts.check(HOME)).toThrow("too many wrong tokens");
  await settled(app);
  const kept = await instance.store.read((reader) => reader.attempts());
  expect(kept).toHaveLength(4096);
  expect((await events(app)).length).toBeLessThan(4100);
});

test("while the store cannot be written the limit holds, and is written down after", async () => {
  await using app = await TestApp.open();
  const { store } = app.ctx.instance;
  const held = Promise.withResolvers<void>();
  const writing = store.transact(() => held.promise);
  expect(await guess(app, 22)).toEqual([...new Array(20).fill(401), 429, 429]);
  held.resolve();
  await writing;
  await settled(app);
  const rows = await store.read((reader) => reader.attempts());
  expect(rows).toMatchObject([{ source: HOME, failures: 20 }]);
});

test("the audit table tells of refusals once for each source, not of each attempt", async () => {
  await using app = await TestApp.open();
  const { id, token } = await app.json<MintedToken>("/v1/tokens", {
    json: { account: "lost", scopes: ["records:read"] },
  });
  await app.call(`/v1/tokens/${id}`, { method: "DELETE" });
  await guess(app, 30);
  await guess(app, 3, "192.0.2.8", token);
  await settled(app);
  expect(await events(app)).toMatchObject([
    { event: "sign-in.refused", detail: { remote: HOME } },
    { event: "sign-in.blocked", detail: { remote: HOME } },
    { event: "sign-in.refused", detail: { remote: "192.0.2.8", account: "lost", state: "revoked" } },
  ]);
});
