import { expect, test } from "bun:test";
import { Problem } from "../../lib/api/schemas.ts";
import { openapi } from "../../server/openapi.ts";
import type { Route } from "../../server/route.ts";
import { ROUTES } from "../../server/routes/index.ts";
import { ALICE, emission, ndjsonOf, TestApp } from "../kit/app.ts";

interface Operation {
  security: Record<string, string[]>[];
  parameters: { name: string; in: string }[];
  requestBody?: { content: Record<string, unknown> };
  responses: Record<string, { content: Record<string, unknown> }>;
}

const document = openapi() as {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
};

test("the document lists exactly the routes", () => {
  const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const served = ROUTES.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`);
  expect(documented.sort()).toEqual(served.sort());
});

test("public are the pages, health, the document itself, what trades a one-time secret, and what proves itself by a signature", () => {
  const open = ROUTES.filter((route) => route.scope === null).map((route) => route.path);
  const [signed, others] = [true, false].map((is) =>
    open.filter((path) => /^\/(?:\.well-known|directory|federation)\//.test(path) === is),
  );
  expect(others!.sort()).toEqual([
    "/",
    "/bundle",
    "/bundle/worker.js",
    "/health",
    "/openapi.json",
    "/pair",
    "/v1/devices/redeem",
    "/v1/token/trade",
  ]);
  expect(signed).toContain("/federation/v1/statement");
});

test("each operation states its scope, parameters, bodies and answers", () => {
  for (const route of ROUTES) {
    const operation = document.paths[route.path.replace(/:(\w+)/g, "{$1}")]![route.method.toLowerCase()]!;
    const scopes = [route.scope, route.alternative].filter((each) => each != null);
    const expected = scopes.map((scope) => ({ token: scope === "any" ? [] : [scope] }));
    expect(operation.security).toEqual(expected);
    const names = operation.parameters.map((parameter) => parameter.name);
    expect(names.sort()).toEqual([...pathNames(route), ...Object.keys(route.query.shape)].sort());
    expect(Object.keys(operation.requestBody?.content ?? {})).toEqual(Object.keys(route.bodies ?? {}));
    expect(Object.keys(operation.responses)).toEqual([...Object.keys(route.answers), "default"]);
  }
});

test("every reference leads to a component", () => {
  const references = JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g);
  const names = [...references].map(([, target]) => target!.replace("#/components/schemas/", ""));
  expect(names.length).toBeGreaterThan(20);
  for (const name of new Set(names)) expect(document.components.schemas).toHaveProperty(name);
});

test("what the routes answer is what they document", async () => {
  await using app = await TestApp.open({ servesDirectory: true });
  const { did, statement } = await app.json<{ did: string; statement: object }>("/.well-known/syncropel");
  const { id } = await app.json<{ id: string }>("/v1/records", { json: emission("th_a", "one") });
  await app.call("/v1/records", {
    json: { thread: "th_a", act: "INTEND", actor: ALICE, body: { goal: "g" } },
  });
  await app.call("/v1/records", {
    json: {
      thread: "th_federation_pairs",
      act: "LEARN",
      actor: ALICE,
      body: { topic: "pair", peer_did: "did:web:peer.example" },
    },
  });
  const token = await app.token(["admin"]);
  const bearer = await app.json<{ id: string; account: string }>("/v1/token", { token });
  const waiting = await app.json<{ id: string; code: string }>("/v1/devices/pairings", {
    json: { device: "iPhone" },
  });
  const bodies: Record<string, unknown> = {
    "PUT /directory/:did": statement,
    "POST /federation/v1/statement": statement,
    "POST /v1/records": emission("th_b", "two"),
    "POST /v1/consent": { from: "work", to: "*" },
    "POST /v1/actors": { actor: ALICE, name: "Alice" },
    "POST /v1/tokens": { account: "ci", scopes: ["records:read"], actors: [ALICE], expires_at: null },
    "POST /v1/service-accounts": { name: "web", scopes: ["records:read"], with_token: true },
    "POST /v1/bootstrap-tokens": {},
    "POST /v1/devices/pairings": { device: "iPad", url: "https://box.example/spl" },
    "POST /v1/devices/redeem": { code: waiting.code, nonce: "A".repeat(43) },
  };
  for (const route of ROUTES) {
    const path = route.path
      .replace("/tokens/:id", `/tokens/${bearer.id}`)
      .replace("/pairings/:id", `/pairings/${waiting.id}`)
      .replace(":did", encodeURIComponent(did))
      .replace(":actor", ALICE)
      .replace(":pair", "did:web:peer.example")
      .replace(":name", bearer.account)
      .replace(":thread", "th_a")
      .replace(":id", id);
    const body = bodies[`${route.method} ${route.path}`];
    const asks = route.method === "GET" && !route.path.startsWith("/federation/");
    if (!asks && body === undefined) continue;
    const { method } = route;
    const response = await app.call(path, { method, token, ...(body !== undefined && { json: body }) });
    const [type] = response.headers.get("content-type")!.split(";");
    const shape = route.answers[response.status]?.[type!];
    expect({ path, type, documented: shape !== undefined }).toEqual({ path, type, documented: true });
    if (shape) expect(shape.safeParse(await response.json()).error).toBeUndefined();
    else await response.body?.cancel();
  }
  const lines = await app.call("/v1/records", {
    headers: { "content-type": "application/x-ndjson", accept: "application/x-ndjson" },
    body: ndjsonOf([emission("th_b", "three")]),
  });
  const emitted = ROUTES.find((route) => route.path === "/v1/records" && route.method === "POST")!;
  const shape = emitted.answers[200]!["application/x-ndjson"]!;
  expect(shape.safeParse(await lines.json()).error).toBeUndefined();
  const problem = await (await app.call("/nope")).json();
  expect(Problem.safeParse(problem).error).toBeUndefined();
});

function pathNames({ path }: Route): string[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => name!);
}
