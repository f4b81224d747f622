import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import type { Device, Pairing, PairingCode, Redeemed } from "../../lib/api/wire.ts";
import { emission, linesOf, TestApp } from "../kit/app.ts";
import { exported, imported } from "../kit/instances.ts";

const NONCE = "A".repeat(43);
const TEN_MINUTES = 10 * 60 * 1000;
const START = Date.UTC(2026, 0, 1);

/** Begins a pairing as the home's owner. */
function pair(app: TestApp, device: string, more: object = {}): Promise<PairingCode> {
  return app.json("/v1/devices/pairings", { json: { device, ...more } });
}

/** Redeems from an address that nothing else in the test uses. */
let sources = 0;
function redeem(app: TestApp, code: string, remote = `192.0.2.${++sources % 250}`): Promise<Response> {
  return app.call("/v1/devices/redeem", { remote, json: { code, nonce: NONCE } });
}

async function redeemed(app: TestApp, code: string): Promise<Redeemed> {
  const response = await redeem(app, code);
  expect(response.status).toBe(201);
  return (await response.json()) as Redeemed;
}

async function problem(
  response: Response,
): Promise<{ status: number; code: string; detail: string; hint: string }> {
  return (await response.json()) as never;
}

const devices = (app: TestApp) => app.json<Device[]>("/v1/devices");

/** Its first call, once the note of it is written. */
async function callOnce(app: TestApp, token: string): Promise<void> {
  expect((await app.call("/v1/token", { token })).status).toBe(200);
  await app.ctx.instance.store.transact(() => undefined);
}

/** The same code with another last character. */
function wrong(code: string): string {
  return code.slice(0, -1) + (code.endsWith("0") ? "1" : "0");
}

test("a device goes from waiting to redeemed to connected", async () => {
  await using app = await TestApp.open({ ports: { clock: () => START } });
  const url = "https://myteam.example.com:9100/";
  const started = await pair(app, "iPhone", { url, scopes: ["records:write"] });
  expect(started.code).toMatch(/^[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}$/);
  expect(started.link).toBe(`https://myteam.example.com:9100/pair#${started.code}`);
  expect(Date.parse(started.expires_at) - START).toBe(TEN_MINUTES);
  const progress = () => app.json<Pairing>(`/v1/devices/pairings/${started.id}`);
  expect(await progress()).toMatchObject({ device: "iPhone", state: "waiting", nonce: null });

  const device = await redeemed(app, started.code.toLowerCase().replaceAll("-", " "));
  expect(device).toMatchObject({ account: "device-iphone", device: "iPhone", scopes: ["records:write"] });
  expect(await progress()).toMatchObject({ state: "redeemed", nonce: NONCE });
  expect(await devices(app)).toMatchObject([{ state: "redeemed", last_used_at: null }]);

  await callOnce(app, device.token);
  expect(await progress()).toMatchObject({ state: "connected" });
  expect(await devices(app)).toMatchObject([
    { device: "iPhone", state: "connected", account: "device-iphone", scopes: ["records:write"] },
  ]);
  expect((await app.call("/v1/status", { token: device.token })).status).toBe(403);
  expect((await app.call("/v1/records", { token: device.token, json: emission("th_a", "hi") })).status).toBe(
    201,
  );
});

test("the pairing is a record that holds no secret", async () => {
  await using app = await TestApp.open({ ports: { clock: () => START } });
  const { code } = await pair(app, "iPhone");
  const { token } = await redeemed(app, code);
  const response = await app.call("/v1/threads/th_devices/records", {
    headers: { accept: "application/x-ndjson" },
  });
  const text = await response.text();
  expect(JSON.parse(text).record).toMatchObject({
    act: "LEARN",
    body: {
      topic: "device",
      device: "iPhone",
      scopes: ["records:read", "records:write"],
      at: "2026-01-01T00:00:00.000Z",
    },
  });
  for (const secret of [code, token, code.slice(5)]) expect(text).not.toContain(secret);
  const audit = await linesOf(await app.call("/v1/audit", { headers: { accept: "application/x-ndjson" } }));
  const events = audit.map(({ event }) => event);
  expect(events).toEqual(expect.arrayContaining(["device.pair", "device.redeem"]));
  for (const secret of [code, token, code.slice(5)]) {
    expect(JSON.stringify(audit)).not.toContain(secret);
    expect(app.logged.join("\n")).not.toContain(secret);
  }
});

test("scopes follow the beginning of the name", async () => {
  await using app = await TestApp.open();
  const cases = {
    "viewer-hall": ["records:read"],
    "emitter-7": ["records:write"],
    "browser-office": ["config:read", "records:read", "records:write"],
    Laptop: ["records:read", "records:write"],
  };
  for (const [device, scopes] of Object.entries(cases))
    expect((await pair(app, device)).scopes).toEqual(scopes);
});

test("names that are none, scopes that do not exist, and addresses that lead nowhere are refused", async () => {
  await using app = await TestApp.open();
  const cases: object[] = [
    { device: "" },
    { device: " phone" },
    { device: "a\nb" },
    { device: "a\u202eb" },
    { device: ".." },
    { device: "redeem" },
    { device: "x".repeat(65) },
    { device: "x", scopes: [] },
    { device: "x", scopes: ["root"] },
    { device: "x", url: "javascript:alert(1)" },
    { device: "x", url: "https://user:pw@host.example" },
    { device: "x", url: "https://host.example/?a=1" },
    { device: "x", more: 1 },
    {},
  ];
  for (const json of cases) {
    const response = await app.call("/v1/devices/pairings", { json });
    expect({ json, status: response.status }).toEqual({ json, status: 400 });
  }
  expect(await devices(app)).toEqual([]);
  expect((await app.json<{ records: number }>("/v1/status")).records).toBe(0);
});

test("unknown, wrong and malformed codes get one answer, and the right one still works", async () => {
  await using app = await TestApp.open();
  const { code } = await pair(app, "iPhone");
  const unknown = code.startsWith("0000") ? "1111-1111-1111" : "0000-0000-0000";
  const answers = await Promise.all(
    [unknown, wrong(code), "rubbish", ""].map(async (each) => problem(await redeem(app, each))),
  );
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  expect(answers[0]).toMatchObject({
    status: 403,
    code: "pairing_refused",
    hint: expect.stringContaining("spl pair"),
  });
  await redeemed(app, code);
});

test("five wrong codes burn a pairing, from wherever they come", async () => {
  await using app = await TestApp.open();
  const { code, id } = await pair(app, "iPhone");
  const tries = await Promise.all(Array.from({ length: 5 }, () => redeem(app, wrong(code))));
  expect(tries.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
  expect(await app.ctx.instance.store.read((reader) => reader.pairing(id))).toMatchObject({ tries: 5 });
  const right = await problem(await redeem(app, code));
  expect(right).toEqual(await problem(await redeem(app, wrong(code))));
  expect(right.code).toBe("pairing_refused");
  expect(await devices(app)).toMatchObject([{ state: "refused", account: null }]);
  await redeemed(app, (await pair(app, "iPhone")).code);
});

test("a code works once, also for fifty at once", async () => {
  await using app = await TestApp.open();
  const { code } = await pair(app, "iPhone");
  const statuses = await Promise.all(
    Array.from({ length: 50 }, async () => (await redeem(app, code)).status),
  );
  expect(statuses.toSorted()).toEqual([201, ...new Array<number>(49).fill(410)]);
  const again = await problem(await redeem(app, code));
  expect(again).toMatchObject({ code: "pairing_spent", detail: "the code has been used already" });
  expect((await app.json<object[]>("/v1/service-accounts")).length).toBe(1);
});

test("an expired code is told to its holder only", async () => {
  let now = START;
  await using app = await TestApp.open({ ports: { clock: () => now } });
  const { code } = await pair(app, "iPhone");
  now += TEN_MINUTES - 1;
  expect((await redeem(app, wrong(code))).status).toBe(403);
  now += 1;
  expect(await problem(await redeem(app, code))).toMatchObject({
    status: 410,
    code: "pairing_spent",
    detail: "the code has expired",
    hint: expect.stringContaining("spl pair --device"),
  });
  expect((await redeem(app, wrong(code))).status).toBe(403);
  expect(await devices(app)).toMatchObject([{ state: "expired" }]);
});

test("another pairing of the same name takes the place of one that waits, and of none that is let in", async () => {
  await using app = await TestApp.open();
  const first = await pair(app, "iPhone");
  const second = await pair(app, "iPhone");
  expect((await redeem(app, first.code)).status).toBe(403);
  expect((await app.call(`/v1/devices/pairings/${first.id}`)).status).toBe(404);
  const { token } = await redeemed(app, second.code);
  const response = await app.call("/v1/devices/pairings", { json: { device: "iPhone" } });
  expect(await problem(response)).toMatchObject({
    status: 409,
    hint: expect.stringContaining("spl device revoke iPhone"),
  });
  await callOnce(app, token);
  expect((await app.call("/v1/devices/pairings", { json: { device: "iPhone" } })).status).toBe(409);
  expect((await devices(app)).length).toBe(1);
});

test("a revoked device is out at once, stays a record, and can be paired anew under another account", async () => {
  await using app = await TestApp.open();
  const { token } = await redeemed(app, (await pair(app, "My Phone/2")).code);
  await callOnce(app, token);
  const path = `/v1/devices/${encodeURIComponent("My Phone/2")}`;
  const revoked = await app.json<Device>(path, { method: "DELETE" });
  expect(revoked).toMatchObject({ state: "revoked", account: "device-my-phone-2" });
  expect(await problem(await app.call("/v1/token", { token }))).toMatchObject({
    status: 401,
    code: "unauthorized",
  });
  expect((await app.json<{ records: number }>("/v1/status")).records).toBe(2);
  // Once more: nothing happens.
  expect(await app.json<Device>(path, { method: "DELETE" })).toEqual(revoked);
  expect((await app.json<{ records: number }>("/v1/status")).records).toBe(2);
  const again = await redeemed(app, (await pair(app, "My Phone/2")).code);
  expect(again.account).toBe("device-my-phone-2-2");
  expect(await devices(app)).toMatchObject([{ state: "redeemed", account: "device-my-phone-2-2" }]);
  expect((await app.call("/v1/token", { token })).status).toBe(401);
  expect((await app.call("/v1/devices/nobody", { method: "DELETE" })).status).toBe(404);
});

test("revoking a device that waits makes its code void", async () => {
  await using app = await TestApp.open();
  const { code } = await pair(app, "iPhone");
  expect(await app.json("/v1/devices/iPhone", { method: "DELETE" })).toMatchObject({
    state: "revoked",
    account: null,
  });
  expect((await redeem(app, code)).status).toBe(403);
});

test("a stream of the device ends when it is revoked", async () => {
  await using app = await TestApp.open();
  const { token } = await redeemed(app, (await pair(app, "iPhone")).code);
  const headers = { accept: "application/x-ndjson" };
  const response = await app.call("/v1/records?follow=true", { token, headers });
  const reader = response.body!.getReader();
  await reader.read();
  const rest = (async () => {
    for (;;) if ((await reader.read()).done) return "ended";
  })().catch(() => "cut");
  await app.call("/v1/devices/iPhone", { method: "DELETE" });
  expect(["ended", "cut"]).toContain(await rest);
  expect((await app.call("/v1/records", { token })).status).toBe(401);
});

test("whoever pairs hands on no more than he has: not beyond his scopes, nor beyond his actors", async () => {
  await using app = await TestApp.open();
  const json = { device: "iPhone", scopes: ["records:read"] };
  for (const scopes of [
    ["records:read", "records:write"],
    ["config:write", "federation:manage"],
  ]) {
    const token = await app.token(scopes);
    expect((await app.call("/v1/devices/pairings", { token, json })).status).toBe(403);
  }
  const bob = "did:sync:user:bob";
  const token = await app.token(["admin"], [bob]);
  const { code } = await app.json<PairingCode>("/v1/devices/pairings", { token, json: { device: "bobs" } });
  const device = await redeemed(app, code);
  expect(await app.json("/v1/token", { token: device.token })).toMatchObject({ actors: [bob] });
  const body = emission("th_a", "as alice");
  expect((await app.call("/v1/records", { token: device.token, json: body })).status).toBe(403);
});

test("the page may be fetched by anyone, without effect, and lets nothing else in", async () => {
  await using app = await TestApp.open();
  const { code, id } = await pair(app, "iPhone");
  for (const method of ["GET", "HEAD", "GET"]) {
    const response = await app.call("/pair", { method, remote: "192.0.2.9" });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("referrer-policy")).toBe("no-referrer");
    expect(response.headers.get("set-cookie")).toBeNull();
    const policy = response.headers.get("content-security-policy")!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    const html = await response.text();
    if (method === "GET") expect(html).toStartWith("<!doctype html>");
    expect(html).not.toContain(code);
  }
  expect(await app.json(`/v1/devices/pairings/${id}`)).toMatchObject({ state: "waiting" });
  await redeemed(app, code);
});

test("a redemption that is no JSON or has no nonce costs the code nothing", async () => {
  await using app = await TestApp.open();
  const { code } = await pair(app, "iPhone");
  const remote = "192.0.2.9";
  const path = "/v1/devices/redeem";
  expect((await app.call(path, { remote, body: `code=${code}` })).status).toBe(415);
  for (const json of [{ code }, { code, nonce: "short" }, { code, nonce: NONCE, more: 1 }, [code]])
    expect((await app.call(path, { remote, json })).status).toBe(400);
  expect((await app.call(path, { remote, json: { code: "x".repeat(20_000), nonce: NONCE } })).status).toBe(
    413,
  );
  await redeemed(app, code);
});

test("twenty wrong codes close the door to an address, for a while, even with the right one", async () => {
  let now = START;
  await using app = await TestApp.open({ ports: { clock: () => now } });
  const guesser = "198.51.100.7";
  for (let n = 0; n < 20; n++) expect((await redeem(app, "0000-0000-0000", guesser)).status).toBe(403);
  const { code } = await pair(app, "iPhone");
  const refused = await redeem(app, code, guesser);
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  now += Number(refused.headers.get("retry-after")) * 1000;
  const fresh = await pair(app, "iPhone");
  expect((await redeem(app, fresh.code, guesser)).status).toBe(201);
});

test("devices travel as records: elsewhere they have no token, and can be paired anew", async () => {
  await using home = await TestApp.open();
  await redeemed(home, (await pair(home, "iPhone")).code);
  await using host = await TestApp.open();
  await move(home, host);
  expect(await devices(host)).toMatchObject([{ device: "iPhone", state: "elsewhere", account: null }]);
  const { token } = await redeemed(host, (await pair(host, "iPhone")).code);
  await callOnce(host, token);
  expect(await devices(host)).toMatchObject([{ device: "iPhone", state: "connected" }]);
  await host.call("/v1/devices/iPhone", { method: "DELETE" });
  // What the first home holds is older than the revocation.
  await move(home, host, true);
  expect(await devices(host)).toMatchObject([{ state: "revoked" }]);
});

test("a revocation that an import brings ends the device here", async () => {
  await using home = await TestApp.open();
  await using host = await TestApp.open();
  await home.call("/v1/records", { json: emission("th_a", "one") });
  await move(home, host);
  const { token } = await redeemed(host, (await pair(host, "iPhone")).code);
  await callOnce(host, token);
  const waiting = await pair(host, "iPad");
  await move(host, home, true);
  for (const device of ["iPhone", "iPad"]) await home.call(`/v1/devices/${device}`, { method: "DELETE" });
  await move(home, host, true);
  expect((await identify(host, token)).status).toBe(401);
  expect((await redeem(host, waiting.code)).status).toBe(403);
  expect((await devices(host)).map(({ state }) => state)).toEqual(["revoked", "revoked"]);
});

test("a device that was paired before the instance became another stays, is shown, and can be ended", async () => {
  await using home = await TestApp.open();
  await home.call("/v1/records", { json: emission("th_a", "one") });
  await home.json("/v1/devices/pairings", { json: { device: "browser-a" } });
  await home.call("/v1/devices/browser-a", { method: "DELETE" });
  await using host = await TestApp.open();
  const { token } = await redeemed(host, (await pair(host, "browser-a")).code);
  await callOnce(host, token);
  await move(home, host, true);
  // The revocation there was of another device of that name.
  expect((await identify(host, token)).status).toBe(200);
  expect(await devices(host)).toMatchObject([{ device: "browser-a", state: "connected" }]);
  await host.call("/v1/devices/browser-a", { method: "DELETE" });
  expect((await identify(host, token)).status).toBe(401);
});

test("a device whose record a rollback took away stays in and can be ended; a code that waited is void", async () => {
  await using app = await TestApp.open();
  const { token } = await redeemed(app, (await pair(app, "My Phone")).code);
  await callOnce(app, token);
  const waiting = await pair(app, "iPad");
  const db = new Database(app.ctx.instance.paths.db);
  db.run("DELETE FROM records");
  db.close();
  expect(await devices(app)).toMatchObject([{ device: "My Phone", state: "connected" }]);
  expect((await redeem(app, waiting.code)).status).toBe(403);
  await app.call("/v1/devices/My%20Phone", { method: "DELETE" });
  expect((await identify(app, token)).status).toBe(401);
});

function identify(app: TestApp, token: string): Promise<Response> {
  return app.call("/v1/token", { token });
}

async function move(from: TestApp, to: TestApp, forceOverwrite = false): Promise<void> {
  await imported(to.home, await exported(from.home), { forceOverwrite });
}
