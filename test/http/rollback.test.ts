import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { Problem } from "../../lib/api/problem.ts";
import type { Import, MintedToken, Rollback, Status } from "../../lib/api/wire.ts";
import { rollbackCopies } from "../../lib/base/home.ts";
import { emission, ndjsonOf, TestApp } from "../kit/app.ts";
import { type Scenario, scenarios } from "../kit/scenario.ts";
import { Served } from "../kit/served.ts";

/** What a rollback is to those who are connected. The ways back themselves: `test/unit/instance/rollback.test.ts`. */

const BUNDLE = { "content-type": "application/octet-stream" };
const NDJSON = { "content-type": "application/x-ndjson" };

const REFUSED: Scenario[] = [
  { name: "the imports, to a reader", path: "/v1/imports", as: "reader", status: 403, code: "forbidden" },
  {
    name: "a rollback by a writer",
    path: "/v1/rollback",
    json: { batch: 1 },
    as: "writer",
    status: 403,
    code: "forbidden",
  },
  {
    name: "where nothing was imported",
    path: "/v1/rollback",
    json: {},
    as: "admin",
    status: 404,
    code: "not_found",
  },
  {
    name: "a number that none has",
    path: "/v1/rollback",
    json: { batch: 3 },
    as: "admin",
    status: 404,
    code: "not_found",
    holds: ["there is no batch 3: 0 imports so far"],
  },
  ...[0, -1, 1.5, "1"].map(
    (batch): Scenario => ({
      name: `no number at all: ${JSON.stringify(batch)}`,
      path: "/v1/rollback",
      json: { batch },
      as: "admin",
      status: 400,
      code: "invalid_request",
    }),
  ),
];
scenarios("a rollback is refused", REFUSED);

async function strangersBundle(records: number): Promise<{ bundle: Uint8Array<ArrayBuffer>; token: string }> {
  await using stranger = await TestApp.open();
  const lines = Array.from({ length: records }, (_, n) => emission(`th_${n % 3}`, `of the stranger ${n}`));
  await stranger.call("/v1/records", { headers: NDJSON, body: ndjsonOf(lines) });
  const { token } = await stranger.json<MintedToken>("/v1/tokens", {
    json: { account: "ci", scopes: ["records:read"], expires_at: null },
  });
  const exported = await stranger.call("/v1/export?carry_tokens=true");
  return { bundle: new Uint8Array(await exported.arrayBuffer()), token };
}

const importing = (app: TestApp, bundle: Uint8Array, query = "") =>
  app.call(`/v1/import?force_overwrite=true${query}`, { body: bundle, headers: BUNDLE });

test("of several at once one goes through, and an import waits for its turn", async () => {
  await using app = await TestApp.open();
  const { bundle } = await strangersBundle(200);
  await app.call("/v1/records", { json: emission("th_own", "own") });
  await importing(app, bundle, "&keep_identity=true");
  const tries = await Promise.all([1, 2, 3].map(() => app.call("/v1/rollback", { json: { batch: 1 } })));
  const codes = await Promise.all(
    tries.map(async (answer) => (answer.ok ? "done" : ((await answer.json()) as Problem).code)),
  );
  expect(codes.sort()).toEqual(["done", "import_running", "import_running"]);
  expect(await app.json<Status>("/v1/status")).toMatchObject({ records: 1 });
  expect((await app.json<Import[]>("/v1/imports")).map(({ state }) => state)).toEqual(["undone"]);
  expect(app.logged.filter((line) => line.startsWith("rollback "))).toHaveLength(1);

  expect((await importing(app, bundle)).status).toBe(200);
  const undoing = app.ctx.jobs.rollBack({ batch: null, copies: rollbackCopies(app.ctx.env) });
  const refused = await importing(app, bundle);
  expect([refused.status, await refused.json()]).toMatchObject([
    409,
    { code: "import_running", detail: "a rollback is running already" },
  ]);
  expect(await undoing).toMatchObject({ batch: 2, records: 1 });
  expect(readdirSync(app.run).filter((name) => name.startsWith("import-"))).toEqual([]);
  expect((await importing(app, bundle)).status).toBe(200);
});

test("an actor's import is one that can be undone", async () => {
  await using source = await TestApp.open();
  await using app = await TestApp.open();
  await source.call("/v1/records", { json: emission("th_a", "one") });
  const alice = encodeURIComponent("did:sync:user:alice");
  const file = await (await source.call(`/v1/actors/${alice}/export`)).text();
  const before = await app.json<Status>("/v1/status");
  expect((await app.call(`/v1/actors/import?by=${alice}`, { headers: NDJSON, body: file })).status).toBe(200);
  const [batch] = await app.json<Import[]>("/v1/imports");
  expect(batch).toMatchObject({ n: 1, records_before: 0, state: "standing" });
  expect(await app.json<Rollback>("/v1/rollback", { json: {} })).toMatchObject({
    removed: batch!.inserted,
    copy: expect.stringContaining(rollbackCopies(app.ctx.env)),
    removed_local: 0,
    digest: before.digest,
  });
  expect(await app.json<Status>("/v1/status")).toMatchObject({ records: 0, digest: before.digest });
});

test("who follows with a token that the bundle brought is cut off; others go on", async () => {
  await using served = await Served.start();
  const { bundle, token } = await strangersBundle(3);
  const post = (path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>) =>
    served.unix(path, { method: "POST", body, headers });
  const json = { "content-type": "application/json" };
  const body = JSON.stringify({ account: "mine", scopes: ["records:read"], expires_at: null });
  const mine = (await (await post("/v1/tokens", body, json)).json()) as MintedToken;
  expect((await post("/v1/import", bundle, BUNDLE)).status).toBe(200);
  const follow = async (bearer: string) => {
    const response = await served.tcp("/v1/records?follow=true", {
      headers: { authorization: `Bearer ${bearer}`, accept: NDJSON["content-type"] },
    });
    expect(response.status).toBe(200);
    const reader = response.body!.getReader();
    await reader.read();
    return reader;
  };
  const [theirs, own] = [await follow(token), await follow(mine.token)];
  expect((await post("/v1/rollback", "{}", json)).status).toBe(200);
  const drain = async () => {
    while (!(await theirs.read()).done);
  };
  await drain().catch(() => undefined);
  expect((await served.tcp("/v1/status", { headers: { authorization: `Bearer ${token}` } })).status).toBe(
    401,
  );
  await post("/v1/records", JSON.stringify(emission("th_own", "for those who stayed")), json);
  let heard = "";
  while (!heard.includes("for those who stayed")) heard += new TextDecoder().decode((await own.read()).value);
  await own.cancel();
});
