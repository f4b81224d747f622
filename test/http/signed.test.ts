import { describe, expect, test } from "bun:test";
import { systemRandom } from "../../lib/base/random.ts";
import { decodeStatement, SEEN, STATEMENT, signRequest } from "../../lib/federation/http_signature.ts";
import type { Statement } from "../../lib/identity/statement.ts";
import { changePair, recordPair } from "../../lib/instance/federation.ts";
import type { Ports } from "../../lib/instance/instance.ts";
import { knownStatement, noteStatement } from "../../lib/instance/steward.ts";
import { TestApp } from "../kit/app.ts";
import { didOf, openPeer } from "../kit/peers.ts";
import { type TestSigner, testSigner } from "../kit/records.ts";
import { statementOf } from "../kit/statements.ts";

/** 2026-03-01T12:00:00Z, in milliseconds. */
const START = 1_772_366_400_000;
const caller = testSigner(1);

function statementBy(signer: TestSigner, more: Partial<Statement> = {}): Statement {
  return statementOf({ url: "https://caller.example", epoch: START, ...more }, signer);
}

interface Signed {
  signer?: TestSigner;
  statement?: Statement;
  method?: "GET" | "POST";
  path?: string;
  body?: string;
  /** Sent instead of what was signed. */
  sentBody?: string;
  to?: string;
  clock?: () => number;
}

/** Headers of a request to `app`, and the request itself. */
async function signed(app: TestApp, more: Signed = {}) {
  const { signer = caller, statement = statementBy(signer), method = "GET", body } = more;
  const path = more.path ?? "/federation/v1/pair";
  const facts = {
    method,
    path,
    body: body === undefined ? null : Buffer.from(body),
    to: more.to ?? (await didOf(app)),
  };
  const clock = more.clock ?? app.ctx.instance.ports.clock;
  const headers = Object.fromEntries(
    signRequest(facts, statement, signer.key, { clock, random: systemRandom }),
  );
  if (body !== undefined) headers["content-type"] = "application/octet-stream";
  const sent = more.sentBody ?? body;
  return {
    path,
    options: { method, headers, remote: "192.0.2.9", ...(sent !== undefined && { body: sent }) },
  };
}

async function send(app: TestApp, more: Signed = {}): Promise<Response> {
  const { path, options } = await signed(app, more);
  return app.call(path, options);
}

async function refusal(response: Response): Promise<{ status: number; code: string; detail: string }> {
  return (await response.json()) as { status: number; code: string; detail: string };
}

/** An instance whose time stands still, with an active pair with the caller. */
async function callee(
  stack: AsyncDisposableStack,
  ports: Partial<Ports> = { clock: () => START },
): Promise<TestApp> {
  const app = stack.use(await openPeer("callee", { ports }));
  const { instance } = app.ctx;
  const facts = { peer_did: caller.did, url: "https://caller.example", state: "active" };
  await instance.store.transact((writer) => recordPair(instance, writer, facts));
  return app;
}

const RECONCILE = { method: "POST", path: "/federation/v1/reconcile", body: "a" } as const;

describe("a signed request", () => {
  test("is let in once, and its answer says who answers", async () => {
    await using stack = new AsyncDisposableStack();
    const app = await callee(stack);
    const { path, options } = await signed(app);
    const response = await app.call(path, options);
    expect(await response.json()).toEqual({ state: "active" });
    const statement = decodeStatement(response.headers.get(STATEMENT), START);
    expect(statement).toMatchObject({ did: await didOf(app), url: "https://callee.example" });
    expect(response.headers.get(SEEN)).toBeNull();
    const again = await app.call(path, options);
    expect(await refusal(again)).toMatchObject({
      status: 401,
      code: "signature_refused",
      detail: expect.stringContaining("a signature counts once"),
    });
    // A refusal says who refuses as well.
    expect(again.headers.get(STATEMENT)).toBe(response.headers.get(STATEMENT));
  });

  test.each<[string, string, Signed]>([
    ["two minutes old", "signature_refused", { clock: () => START - 120_000 }],
    ["two minutes ahead", "signature_refused", { clock: () => START + 120_000 }],
    ["of another body", "signature_refused", { ...RECONCILE, sentBody: "b" }],
    ["without the body that was signed", "signature_refused", { ...RECONCILE, sentBody: "" }],
    ["with a body where none is due", "body_too_large", { method: "POST", sentBody: "b" }],
  ])("that is %s is refused", async (_, code, more) => {
    await using stack = new AsyncDisposableStack();
    const app = await callee(stack);
    expect((await refusal(await send(app, more))).code).toBe(code);
  });

  test("that is meant for another path or instance, or has no signature, is refused", async () => {
    await using stack = new AsyncDisposableStack();
    const app = await callee(stack);
    const { options } = await signed(app);
    expect((await app.call("/federation/v1/records", options)).status).toBe(401);
    expect((await app.call("/federation/v1/pair", { remote: "192.0.2.9" })).status).toBe(401);
    const elsewhere = await send(app, { to: testSigner(7).did });
    expect(await refusal(elsewhere)).toMatchObject({ status: 421, code: "wrong_instance" });
    expect(decodeStatement(elsewhere.headers.get(STATEMENT), START).did).toBe(await didOf(app));
  });

  test("brings nothing to who is not paired, or paused", async () => {
    await using stack = new AsyncDisposableStack();
    const app = await callee(stack);
    const stranger = await send(app, { signer: testSigner(5), path: "/federation/v1/records" });
    expect(await refusal(stranger)).toMatchObject({
      status: 403,
      code: "pair_unknown",
      detail: expect.stringContaining("it is not paired with this instance"),
    });
    const { instance } = app.ctx;
    const known = await instance.store.read((reader) => knownStatement(reader, testSigner(5).did));
    expect(known).toBeNull();
    await changePair(instance, caller.did, { state: "paused" }, "local");
    expect(await refusal(await send(app, { path: "/federation/v1/records" }))).toMatchObject({
      code: "pair_unknown",
      detail: expect.stringContaining("the pair is paused"),
    });
  });

  test("is let in as long as none of several pairs with one peer, of united records, is paused or revoked", async () => {
    await using stack = new AsyncDisposableStack();
    const app = await callee(stack);
    const { instance } = app.ctx;
    const listed = () => app.json<{ id: string; state: string }[]>("/v1/federation/pairs");
    const older = (await listed())[0]!.id;
    const facts = { peer_did: caller.did, url: "https://caller.example", state: "active" };
    const newer = await instance.store.transact((writer) => recordPair(instance, writer, facts));
    const enter = async () => (await send(app, { path: "/federation/v1/records" })).status;
    expect(await listed()).toMatchObject([{ id: older, state: "active" }]);
    expect(await enter()).toBe(200);
    const steps = ["paused", "active"] as const;
    for (const name of [caller.did, older, newer, newer.slice(0, 12)]) {
      for (const state of steps) {
        await changePair(instance, name, { state }, "local");
        expect(await listed()).toMatchObject([{ id: older, state }]);
        expect(await enter()).toBe(state === "active" ? 200 : 403);
      }
    }
    // What one home has paused is not resumed by what the other one says.
    await instance.store.transact((writer) => recordPair(instance, writer, { pair: newer, state: "paused" }));
    await instance.store.transact((writer) => recordPair(instance, writer, { pair: older, state: "active" }));
    expect(await listed()).toMatchObject([{ state: "paused" }]);
    expect(await enter()).toBe(403);
    await changePair(instance, caller.did, { state: "active" }, "local");
    expect(await enter()).toBe(200);
    const set = { mode: "on-demand", interval_s: 600, threads: ["th_a"] } as const;
    await changePair(instance, newer, { ...set, threads: [...set.threads] }, "local");
    expect(await listed()).toMatchObject([set]);
    await changePair(instance, newer, { state: "revoked" }, "local");
    expect(await listed()).toEqual([]);
    expect(await enter()).toBe(403);
  });

  test.each(["moves", "ends"])("of a peer that %s counts for all pairs with it", async (what) => {
    await using stack = new AsyncDisposableStack();
    const app = await callee(stack);
    const { instance } = app.ctx;
    const facts = { peer_did: caller.did, url: "https://caller.example", state: "active" };
    const newer = await instance.store.transact((writer) => recordPair(instance, writer, facts));
    await instance.store.transact((writer) => recordPair(instance, writer, { pair: newer, state: "paused" }));
    await app.call("/federation/v1/statement", { json: statementBy(caller), remote: "192.0.2.9" });
    const moved = { epoch: START + 9, steward_id: "2".repeat(32), url: "https://new.example" };
    const news = what === "moves" ? moved : { ...moved, url: null, revoked: true };
    await app.call("/federation/v1/statement", { json: statementBy(caller, news), remote: "192.0.2.9" });
    const pairs = await app.json<object[]>("/v1/federation/pairs");
    if (what === "ends") expect(pairs).toEqual([]);
    else expect(pairs).toMatchObject([{ url: "https://new.example", state: "paused" }]);
  });

  test("of a home that was left is told so, and where the identity lives now", async () => {
    await using stack = new AsyncDisposableStack();
    const app = await callee(stack);
    const later = statementBy(caller, {
      epoch: START + 5,
      steward_id: "2".repeat(32),
      url: "https://new.example",
    });
    await app.ctx.instance.store.transact((writer) => noteStatement(writer, later));
    const response = await send(app, { path: "/federation/v1/records" });
    expect(await refusal(response)).toMatchObject({ status: 409, code: "superseded" });
    expect(decodeStatement(response.headers.get(SEEN), START)).toEqual(later);
  });

  test("to a home that was left is told where the identity lives now", async () => {
    await using stack = new AsyncDisposableStack();
    const app = await callee(stack);
    const { instance } = app.ctx;
    const { did, key, epoch } = await instance.store.read((reader) => instance.signer(reader));
    const moved = statementBy({ did, key } as TestSigner, { epoch: epoch + 5, url: "https://moved.example" });
    await instance.store.transact((writer) => noteStatement(writer, moved));
    const response = await send(app, { path: "/federation/v1/records" });
    expect(await refusal(response)).toMatchObject({ status: 409, code: "superseded" });
    expect(decodeStatement(response.headers.get(STATEMENT), START)).toEqual(moved);
  });

  test.each<[string, Signed]>([
    ["records", { path: "/federation/v1/records" }],
    ["to be paired, as it is", { method: "POST" }],
  ])("for %s that shows a new address of the peer's moves the pair by record, once", async (_, asked) => {
    await using stack = new AsyncDisposableStack();
    const app = await callee(stack);
    await send(app, { path: "/federation/v1/records" });
    const records = async () => (await app.json<{ records: number }>("/v1/status")).records;
    const before = await records();
    const statement = statementBy(caller, {
      epoch: START + 9,
      steward_id: "2".repeat(32),
      url: "https://new.example",
    });
    for (let n = 0; n < 3; n++) expect((await send(app, { ...asked, statement })).status).toBe(200);
    expect(await records()).toBe(before + 1);
    expect(await app.json("/v1/federation/pairs")).toMatchObject([{ url: "https://new.example" }]);
    // The home that was left has no say any more.
    expect((await send(app, { path: "/federation/v1/records" })).status).toBe(409);
    expect(await app.json("/v1/federation/pairs")).toMatchObject([{ url: "https://new.example" }]);
  });
});

test("an isolated instance speaks with nobody and does not make itself known", async () => {
  await using app = await TestApp.open();
  const response = await send(app);
  expect((await refusal(response)).code).toBe("forbidden");
  expect(response.headers.get(STATEMENT)).toBeNull();
});

describe("requests to be paired", () => {
  const ask = (app: TestApp, n: number, remote = `198.51.100.${n}`) =>
    signed(app, { signer: testSigner(n), statement: statementBy(testSigner(n)), method: "POST" }).then(
      ({ path, options }) => app.call(path, { ...options, remote }),
    );
  const records = async (app: TestApp) => (await app.json<{ records: number }>("/v1/status")).records;

  test("of strangers are kept beside the records, a hundred at most, and for a month", async () => {
    let now = START;
    await using app = await openPeer("callee", { ports: { clock: () => now } });
    for (let n = 1; n <= 100; n++)
      expect(await (await ask(app, n)).json()).toEqual({ state: "establishing" });
    const full = await ask(app, 101);
    expect(await refusal(full)).toMatchObject({ status: 429, code: "rate_limited" });
    // Who waits already may ask again.
    expect((await ask(app, 1)).status).toBe(200);
    expect(await records(app)).toBe(0);
    expect(await app.json<object[]>("/v1/federation/pairs")).toHaveLength(100);
    now += 30 * 24 * 60 * 60 * 1000 + 60_000;
    expect((await ask(app, 101)).status).toBe(200);
    expect(await app.json("/v1/federation/pairs")).toMatchObject([{ peer_did: testSigner(101).did }]);
  });

  test("come from one address ten times a minute at most", async () => {
    await using app = await openPeer("callee", { ports: { clock: () => START } });
    const statuses: number[] = [];
    for (let n = 1; n <= 12; n++) statuses.push((await ask(app, n, "198.51.100.7")).status);
    expect(statuses).toEqual([...new Array<number>(10).fill(200), 429, 429]);
    expect((await ask(app, 20, "198.51.100.8")).status).toBe(200);
  });

  test("of an identity that was revoked since are approved no more", async () => {
    await using app = await openPeer("callee", { ports: { clock: () => START } });
    await ask(app, 1);
    const ended = statementBy(testSigner(1), { url: null, revoked: true, epoch: START + 1 });
    await app.call("/federation/v1/statement", { json: ended, remote: "192.0.2.9" });
    const name = encodeURIComponent(testSigner(1).did);
    const approved = await app.call(`/v1/federation/pairs/${name}/approve`, { method: "POST" });
    expect(await refusal(approved)).toMatchObject({
      status: 409,
      code: "superseded",
      detail: expect.stringContaining("nobody can be paired with it"),
    });
    expect(await records(app)).toBe(0);
  });

  test("are decided by who may manage the federation, and forgotten when they are rejected", async () => {
    await using app = await openPeer("callee", { ports: { clock: () => START } });
    await ask(app, 1);
    const name = encodeURIComponent(testSigner(1).did);
    const token = await app.token(["records:read"]);
    const approve = `/v1/federation/pairs/${name}/approve`;
    expect((await app.call(approve, { method: "POST", token })).status).toBe(403);
    await app.call(`/v1/federation/pairs/${name}/reject`, { method: "POST" });
    const state = await send(app, { signer: testSigner(1) });
    expect(await state.json()).toEqual({ state: "none" });
    expect((await app.call(approve, { method: "POST" })).status).toBe(404);
    expect(await records(app)).toBe(0);
  });
});
