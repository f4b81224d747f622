import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { homePaths } from "../../lib/base/home.ts";
import type { Statement } from "../../lib/identity/statement.ts";
import { Pace } from "../../server/stages/pace.ts";
import { TestApp } from "../kit/app.ts";
import { testSigner } from "../kit/records.ts";
import { statementOf } from "../kit/statements.ts";

const HOUR = 60 * 60 * 1000;
const NOW = Date.parse("2026-03-01T12:00:00.000Z");
const own = testSigner(1);
const [LOW, HIGH] = ["1".repeat(32), "e".repeat(32)] as const;

const open = () => TestApp.open({ servesDirectory: true, ports: { clock: () => NOW } });
const at = (fields: Partial<Omit<Statement, "sig">> = {}) => statementOf({ epoch: NOW, ...fields });
const pathOf = (did = own.did) => `/directory/${encodeURIComponent(did)}`;

async function put(app: TestApp, statement: object, path = pathOf()): Promise<string> {
  const answer = await app.call(path, { method: "PUT", json: statement });
  if (answer.ok) return "kept";
  const { status, code, detail } = (await answer.json()) as Record<string, string>;
  return `${status} ${code}: ${detail}`;
}

const held = async (app: TestApp) => app.json<Statement>(pathOf());

describe("a directory", () => {
  test("keeps what verifies, and gives back exactly that", async () => {
    await using app = await open();
    expect((await app.call(pathOf())).status).toBe(404);
    const statement = at();
    expect(await put(app, statement)).toBe("kept");
    expect(await held(app)).toEqual(statement);
    expect(await put(app, statement)).toBe("kept");
  });

  test("keeps the highest: by epoch, then by steward, then by what was said last", async () => {
    await using app = await open();
    await put(app, at({ steward_id: LOW }));
    // Two homes that claim one epoch: everyone picks the same.
    expect(await put(app, at({ steward_id: HIGH, url: "https://high.example" }))).toBe("kept");
    expect(await put(app, at({ steward_id: LOW, url: "https://low.example" }))).toBe(
      "409 superseded: a higher statement is known: the instance lives at https://high.example (2026-03-01T12:00:00.000Z)",
    );
    expect(await put(app, at({ steward_id: HIGH, epoch: NOW - 1 }))).toStartWith("409 superseded: ");
    const later = new Date(NOW + 5).toISOString();
    expect(await put(app, at({ steward_id: HIGH, issued_at: later, url: "https://b.example" }))).toBe("kept");
    expect(await held(app)).toMatchObject({ url: "https://b.example", steward_id: HIGH });
    expect(await put(app, at({ steward_id: LOW, epoch: NOW + 1, url: null }))).toBe("kept");
    expect(await held(app)).toMatchObject({ url: null, steward_id: LOW });
  });

  test("keeps the end of an identity whatever comes after it", async () => {
    await using app = await open();
    expect(await put(app, at({ revoked: true, url: null }))).toBe("kept");
    expect(await put(app, at({ epoch: NOW + HOUR }))).toBe(
      "409 superseded: the identity was revoked (2026-03-01T12:00:00.000Z)",
    );
    expect(await held(app)).toMatchObject({ revoked: true });
  });

  test("refuses by name what proves nothing, and keeps what it had", async () => {
    await using app = await open();
    const before = at();
    await put(app, before);
    const stranger = testSigner(2);
    const refused = "422 statement_refused: the endpoint statement is refused: ";
    const ahead = { epoch: NOW + 25 * HOUR };
    const said: [object, string][] = [
      [at(ahead), `${refused}its epoch lies more than 24 hours ahead of this machine's clock`],
      [{ ...at(ahead), epoch: NOW + HOUR }, `${refused}its signature is wrong`],
      [
        { ...statementOf({ epoch: NOW + 1 }, stranger), did: own.did },
        `${refused}its key is not the key of ${own.did}`,
      ],
      [{ ...at(), sig: statementOf({ epoch: NOW }, stranger).sig }, `${refused}its signature is wrong`],
      [statementOf({ epoch: NOW + 1 }, stranger), `${refused}it is of another DID than the path`],
      [at({ epoch: NOW + 1, url: "ftp://a.example" }), `${refused}its fields are not those of a statement`],
      [
        at({ epoch: NOW + 1, url: "https://user:pw@a.example" }),
        `${refused}its fields are not those of a statement`,
      ],
      [{ ...at(), more: 1 }, `${refused}its fields are not those of a statement`],
      [[], `${refused}it is no object`],
    ];
    for (const [statement, expected] of said) expect(await put(app, statement)).toBe(expected);
    const large = { ...at({ epoch: NOW + 1 }), padding: "x".repeat(5 * 1024) };
    expect(await put(app, large)).toBe("413 body_too_large: the body is larger than 4096 bytes");
    expect(await held(app)).toEqual(before);
  });

  test("lets one address publish sixty times a minute, and others meanwhile", async () => {
    let now = NOW;
    await using app = await TestApp.open({ servesDirectory: true, ports: { clock: () => now } });
    const publish = (remote: string) => app.call(pathOf(), { method: "PUT", json: at(), remote });
    for (let i = 0; i < 60; i++) expect((await publish("192.0.2.1")).status).toBe(200);
    const refused = await publish("192.0.2.1");
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ code: "rate_limited", retry_after: 60 });
    expect((await publish("192.0.2.2")).status).toBe(200);
    now += 60_000;
    expect((await publish("192.0.2.1")).status).toBe(200);
  });

  test("takes no DID more when it is full, and still those that it knows", async () => {
    await using app = await open();
    await put(app, at());
    using db = new Database(homePaths(app.home).db);
    db.run(
      "INSERT INTO statements WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) SELECT 'did:x:' || i, '{}' FROM n",
    );
    const late = testSigner(2);
    expect(await put(app, statementOf({ epoch: NOW }, late), pathOf(late.did))).toBe(
      "507 disk_full: the directory is full: it holds 100000 DIDs",
    );
    expect(await put(app, at({ epoch: NOW + 1 }))).toBe("kept");
  });

  test("is there only where it was asked for", async () => {
    await using app = await TestApp.open();
    const refused = "404 not_found: this instance serves no directory";
    expect(await put(app, statementOf())).toBe(refused);
    expect(await (await app.call(pathOf())).json()).toMatchObject({ hint: "spl serve --directory does" });
  });
});

test("a crowd of addresses shares one count", () => {
  const pace = new Pace(() => NOW);
  const from = (i: number) => pace.step({ transport: "tcp", remote: `10.0.${i >> 8}.${i & 255}` }, "x", 2);
  for (let i = 0; i < 10_002; i++) from(i);
  expect(() => from(20_000)).toThrow("more than 2 such requests came from this address in a minute");
  // Who was counted before the crowd came is not of it.
  from(5);
  expect(() => from(5)).toThrow("more than 2");
});

describe("a pushed statement", () => {
  const push = (app: TestApp, statement: object) =>
    app.call("/federation/v1/statement", { json: statement, remote: "192.0.2.7" });

  test("of a stranger is not kept", async () => {
    await using app = await open();
    const answer = await push(app, at());
    expect([answer.status, await answer.json()]).toEqual([
      403,
      expect.objectContaining({ code: "pair_unknown" }),
    ]);
    expect((await app.call(pathOf())).status).toBe(404);
  });

  test("of a peer is kept, moves the pair by record, and is answered with the highest", async () => {
    await using app = await open();
    const pair = { topic: "pair", peer_did: own.did, url: "https://a.example", state: "active" };
    const { did } = await app.json<{ did: string }>("/v1/identity");
    const record = { thread: "th_federation_pairs", act: "LEARN", actor: did, body: pair };
    await app.call("/v1/records", { json: record });
    const first = at();
    expect(await (await push(app, first)).json()).toEqual(first);
    const moved = at({ epoch: NOW + 1, steward_id: HIGH, url: "https://moved.example" });
    expect((await push(app, moved)).status).toBe(200);
    const pairs = async () => (await app.json<{ url: string; state: string }[]>("/v1/federation/pairs"))[0];
    expect(await pairs()).toMatchObject({ url: "https://moved.example", state: "active" });
    expect(await app.json("/v1/status")).toMatchObject({ records: 2 });
    // The home that was left learns from the answer where its identity is now.
    expect(await (await push(app, first)).json()).toEqual(moved);
    expect(await pairs()).toMatchObject({ url: "https://moved.example" });
    expect((await push(app, at({ epoch: NOW + 2, revoked: true, url: null }))).status).toBe(200);
    expect(await app.json<unknown[]>("/v1/federation/pairs")).toEqual([]);
  });

  test("of this very identity from another home makes this one read-only, audited once", async () => {
    await using app = await open();
    const { statement } = await app.json<{ statement: Statement }>("/.well-known/syncropel");
    const { sig: _, ...fields } = statement;
    const { key } = await app.ctx.instance.store.read((reader) => app.ctx.instance.signer(reader));
    const elsewhere = { steward_id: HIGH, epoch: NOW + 1, url: "https://new.example" };
    const moved = statementOf({ ...fields, ...elsewhere }, { did: statement.did, key });
    for (let i = 0; i < 3; i++) expect((await push(app, moved)).status).toBe(200);
    const since = new Date(NOW + 1).toISOString();
    expect(await app.json("/v1/status")).toMatchObject({
      state: "superseded",
      moved_to: "https://new.example",
      since,
    });
    const emission = { thread: "th_a", act: "DO", actor: "did:sync:user:alice", body: {} };
    const refused = await app.call("/v1/records", { json: emission });
    expect(await refused.json()).toMatchObject({
      status: 409,
      code: "superseded",
      detail: `this identity moved to https://new.example (${since}): this home is read-only`,
      url: "https://new.example",
    });
    const { items } = await app.json<{ items: { event: string; detail: object }[] }>("/v1/audit");
    expect(items.filter(({ event }) => event === "identity.superseded").map(({ detail }) => detail)).toEqual([
      { url: "https://new.example", epoch: NOW + 1, steward_id: HIGH },
    ]);
    // It still says where the identity lives.
    expect(await app.json("/.well-known/syncropel")).toMatchObject({ statement: moved });
  });
});

test("ending an identity names it, needs admin, and leaves a home that reads and writes nothing", async () => {
  await using app = await open();
  const { did } = await app.json<{ did: string }>("/v1/identity");
  const revoke = (json: object, token?: string) =>
    app.call("/v1/identity/revoke", { json, ...(token !== undefined && { token }) });
  expect((await revoke({ did }, await app.token(["records:write"]))).status).toBe(403);
  expect((await revoke({})).status).toBe(400);
  expect(await (await revoke({ did: own.did })).json()).toMatchObject({ code: "did_mismatch" });
  expect(await app.json("/v1/status")).toMatchObject({ state: "active" });
  const told = { did, state: "revoked", published: null, told: 0, pairs: 0 };
  expect(await (await revoke({ did })).json()).toMatchObject(told);
  expect(await app.json("/v1/identity")).toMatchObject({ state: "revoked", moved_to: null });
  const emission = { thread: "th_a", act: "DO", actor: "did:sync:user:alice", body: {} };
  expect(await (await app.call("/v1/records", { json: emission })).json()).toMatchObject({
    code: "superseded",
    detail: `this identity was revoked (${new Date(NOW).toISOString()}): it writes nothing more`,
  });
  expect((await app.call("/v1/export")).status).toBe(200);
});
