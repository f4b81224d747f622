import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { Problem } from "../../lib/api/problem.ts";
import type { ActorDetail, ActorImportSummary, Trust } from "../../lib/api/wire.ts";
import { utf8 } from "../../lib/base/bytes.ts";
import { textLines } from "../../lib/base/lines.ts";
import { ALICE, emission, linesOf, ndjsonOf, TestApp } from "../kit/app.ts";
import { type Scenario, scenarios } from "../kit/scenario.ts";
import { until } from "../kit/until.ts";

const BOB = "did:sync:user:bob";
const AT = "2026-03-01T00:00:00.000Z";
const NDJSON = { "content-type": "application/x-ndjson" };
const path = (actor: string, rest = "") => `/v1/actors/${encodeURIComponent(actor)}${rest}`;
const IMPORT = `/v1/actors/import?by=${encodeURIComponent(BOB)}`;
const ports = { clock: () => Date.parse(AT) };

async function withHistory(): Promise<TestApp> {
  const app = await TestApp.open({ ports });
  const outcome = { topic: "outcome", subject: ALICE, domain: "deploy", success: true, at: AT };
  await app.call("/v1/records", {
    headers: NDJSON,
    body: ndjsonOf([
      emission("th_a", "one"),
      emission("th_b", "two"),
      emission("th_b", "", { act: "KNOW", actor: BOB, body: outcome }),
    ]),
  });
  await app.call("/v1/actors", { json: { actor: ALICE, name: "Alice" } });
  return app;
}

const exported = async (app: TestApp): Promise<string> => (await app.call(path(ALICE, "/export"))).text();

const REFUSED: Scenario[] = [
  {
    name: "an actor that is not there",
    path: path("did:sync:user:nobody"),
    as: "reader",
    status: 404,
    code: "not_found",
    holds: ["spl actor list"],
  },
  {
    name: "the file of an actor that is not there, with its own status",
    path: path("did:sync:user:nobody", "/export"),
    as: "reader",
    status: 404,
    code: "not_found",
  },
  {
    name: "reading it without the right to",
    path: path(ALICE),
    as: "alphaReader",
    status: 403,
    code: "forbidden",
  },
  { name: "taking it out without the right to", path: path(ALICE, "/export"), as: "writer", status: 403 },
  {
    name: "trust without the right to read",
    path: "/v1/trust",
    as: "writer",
    status: 403,
    code: "forbidden",
  },
  {
    name: "taking one in without being admin",
    path: IMPORT,
    as: "writer",
    headers: NDJSON,
    body: "",
    status: 403,
    code: "forbidden",
  },
  ...["ev\x1bil", "two\nlines"].map((name) => ({
    name: `a name that the actor's file could not hold: ${JSON.stringify(name)}`,
    path: "/v1/actors",
    as: "admin" as const,
    json: { actor: ALICE, name },
    status: 400,
    code: "invalid_request" as const,
    holds: ["name", "control character"],
  })),
  {
    name: "an import by nobody",
    path: "/v1/actors/import",
    as: "admin",
    headers: NDJSON,
    body: "",
    status: 400,
    code: "invalid_request",
    holds: ["by is missing"],
  },
  {
    name: "an import by what is no DID",
    path: "/v1/actors/import?by=bob",
    as: "admin",
    headers: NDJSON,
    body: "",
    status: 400,
    code: "invalid_request",
  },
  {
    name: "a discount above 1",
    path: `${IMPORT}&trust_discount=1.5`,
    as: "admin",
    headers: NDJSON,
    body: "",
    status: 400,
    code: "invalid_request",
    holds: ["trust_discount"],
  },
  {
    name: "a file of nothing",
    path: IMPORT,
    as: "admin",
    headers: NDJSON,
    body: "",
    status: 422,
    code: "bundle_malformed",
    holds: ["actor file malformed: it is empty"],
  },
  {
    name: "a file with a line without end",
    path: IMPORT,
    as: "admin",
    headers: NDJSON,
    body: "x".repeat(2 * 1024 * 1024),
    status: 413,
    code: "body_too_large",
  },
  {
    name: "a bundle",
    path: IMPORT,
    as: "admin",
    headers: { "content-type": "application/octet-stream" },
    body: "",
    status: 415,
    code: "unsupported_media_type",
  },
];
scenarios("refused", REFUSED);

describe("an actor", () => {
  test("is shown with what it wrote and what came of it", async () => {
    await using app = await withHistory();
    const detail = await app.json<ActorDetail>(path(ALICE));
    const { instance_did } = await app.json<{ instance_did: string }>("/health");
    expect(detail).toEqual({
      actor: ALICE,
      name: "Alice",
      registered: true,
      // Alice registered herself.
      records: 3,
      threads: 3,
      signers: [instance_did],
      first_clock: 0,
      last_clock: 0,
      origins: [],
      trust: [
        {
          actor: ALICE,
          domain: "deploy",
          trust: expect.closeTo(0.43435, 5),
          outcomes: 1,
          successes: 1,
          weight: 1,
        },
      ],
    });
  });

  test("is trusted by actor and domain", async () => {
    await using app = await withHistory();
    const of = async (query: string) => app.json<Trust[]>(`/v1/trust${query}`);
    expect(await of("")).toHaveLength(1);
    expect(await of(`?actor=${encodeURIComponent(ALICE)}&domain=deploy`)).toHaveLength(1);
    expect(await of(`?actor=${encodeURIComponent(BOB)}`)).toEqual([]);
    expect(await of("?domain=review")).toEqual([]);
  });

  test("moves from one instance to another, and the audit table says so", async () => {
    await using source = await withHistory();
    await using target = await TestApp.open({ ports });
    const file = await exported(source);
    const token = await target.token(["admin"]);
    const response = await target.call(`${IMPORT}&trust_discount=0.5`, {
      token,
      headers: NDJSON,
      body: file,
    });
    expect(response.status).toBe(200);
    expect((await response.json()) as ActorImportSummary).toMatchObject({
      actor: ALICE,
      inspected: 3,
      inserted: 3,
      registrations: 2,
      trust_discount: 0.5,
    });
    const [trust] = await target.json<Trust[]>("/v1/trust");
    expect(trust).toMatchObject({ actor: ALICE, outcomes: 1, weight: 0.5 });
    const records = async (app: TestApp) =>
      linesOf(await app.call("/v1/threads/th_b/records", { headers: { accept: "application/x-ndjson" } }));
    expect(await records(target)).toEqual(await records(source));
    const audit = await target.json<{ items: { event: string; detail: object }[] }>("/v1/audit");
    const { source_did } = JSON.parse(file.split("\n")[0]!) as { source_did: string };
    expect(audit.items.find(({ event }) => event === "actor-import")?.detail).toMatchObject({
      actor: ALICE,
      source_did,
      inserted: 3,
    });
  });

  test("whoever follows the records learns of one that came in", async () => {
    await using source = await withHistory();
    await using target = await TestApp.open({ ports });
    const follow = await target.call("/v1/records?follow=true&after=0", {
      headers: { accept: "application/x-ndjson" },
    });
    const lines = textLines(follow.body!);
    const first = lines.next();
    await target.call(IMPORT, { headers: NDJSON, body: await exported(source) });
    expect(JSON.parse((await first).value!)).toMatchObject({ seq: 1, record: { actor: ALICE } });
    await lines.return(undefined);
  });

  test("one byte that is wrong, and nothing has changed", async () => {
    await using source = await withHistory();
    await using target = await TestApp.open({ ports });
    const file = await exported(source);
    const before = await target.json("/v1/status");
    for (const at of [20, file.indexOf("\n") + 30, file.length - 20]) {
      const flipped = file.slice(0, at) + (file[at] === "a" ? "b" : "a") + file.slice(at + 1);
      const response = await target.call(IMPORT, { headers: NDJSON, body: flipped });
      expect({ at, status: response.status }).toEqual({ at, status: 422 });
      expect(((await response.json()) as Problem).code).toBe("bundle_malformed");
    }
    expect(await target.json("/v1/status")).toEqual(before);
    expect(readdirSync(target.run).filter((name) => name.endsWith(".spool"))).toEqual([]);
  });

  test("a client that does not read on leaves no file behind", async () => {
    await using app = await withHistory();
    const response = await app.call(path(ALICE, "/export"));
    await response.body!.cancel();
    expect(readdirSync(app.run).filter((name) => name.endsWith(".spool"))).toEqual([]);
  });

  test("an upload that breaks off leaves nothing behind", async () => {
    await using source = await withHistory();
    await using target = await TestApp.open({ ports });
    const before = await target.json("/v1/status");
    const start = new TextEncoder().encode((await exported(source)).slice(0, 900));
    let sent = false;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent) controller.error(new Error("gone"));
        else controller.enqueue(start);
        sent = true;
      },
    });
    const response = await target.call(IMPORT, { method: "POST", headers: NDJSON, body });
    expect(response.status).toBe(400);
    expect(await target.json("/v1/status")).toEqual(before);
    expect(readdirSync(target.run).filter((name) => name.endsWith(".spool"))).toEqual([]);
  });
});

test("an actor that is on its way in keeps other imports out, and nobody else waits for it", async () => {
  await using source = await withHistory();
  await using app = await TestApp.open({ ports });
  const file = await exported(source);
  const { promise: rest, resolve: goOn } = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(utf8(file.slice(0, 100)));
      await rest;
      controller.enqueue(utf8(file.slice(100)));
      controller.close();
    },
  });
  const importing = app.json<ActorImportSummary>(IMPORT, { headers: NDJSON, body });
  await until(
    async () => readdirSync(app.run),
    (names) => names.some((name) => name.endsWith(".spool")),
  );
  const second = await app.call(IMPORT, { headers: NDJSON, body: file });
  expect([second.status, ((await second.json()) as Problem).code]).toEqual([409, "import_running"]);
  expect(
    (
      await app.call("/v1/records", {
        headers: NDJSON,
        body: ndjsonOf([emission("th_own", "mine", { actor: BOB })]),
      })
    ).ok,
  ).toBe(true);
  goOn();
  expect(await importing).toMatchObject({ inserted: 3, refused: 0 });
  expect(await app.json<ActorDetail>(path(ALICE))).toMatchObject({ name: "Alice" });
});
