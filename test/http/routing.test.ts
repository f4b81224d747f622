import { expect, test } from "bun:test";
import { emission, TestApp } from "../kit/app.ts";
import { scenarios, THREAD } from "../kit/scenario.ts";

const ndjson = { accept: "application/x-ndjson" };

scenarios("finding a route", [
  {
    name: "the health of the instance is public",
    path: "/health",
    remote: "192.0.2.7",
    status: 200,
    holds: ['"status":"ok"', '"instance_did":"did:sync:instance:local-'],
    lacks: ["home", "pid"],
  },
  {
    name: "nothing is at an unknown path",
    path: "/v1/nope",
    status: 404,
    code: "not_found",
    holds: ["/v1/nope"],
  },
  { name: "a trailing slash is another path", path: "/v1/status/", status: 404, code: "not_found" },
  { name: "doubled slashes are another path", path: "/v1//status", status: 404, code: "not_found" },
  {
    name: "an empty parameter is another path",
    path: "/v1/threads//records",
    status: 404,
    code: "not_found",
  },
  {
    name: "a wrong method names the right ones",
    path: "/v1/records",
    method: "DELETE",
    status: 405,
    code: "method_not_allowed",
    answerHeaders: { allow: "POST, GET, HEAD" },
  },
  {
    name: "OPTIONS is no way around",
    path: "/v1/status",
    method: "OPTIONS",
    status: 405,
    code: "method_not_allowed",
    answerHeaders: { allow: "GET, HEAD" },
  },
  {
    name: "parameters are decoded",
    path: "/v1/threads/th%5Falpha",
    status: 200,
    holds: ['"thread":"th_alpha"'],
  },
  {
    name: "a malformed encoding is refused",
    path: "/v1/threads/th_%ff%zz",
    status: 400,
    code: "invalid_request",
  },
  {
    name: "an encoded slash stays inside its parameter",
    path: "/v1/threads/th_alpha%2Frecords",
    status: 404,
    code: "not_found",
    holds: ["th_alpha/records"],
  },
  { name: "a thread that is not there", path: "/v1/threads/th_none", status: 404, code: "not_found" },
  {
    name: "a record that is not there",
    path: `/v1/records/${"0".repeat(64)}`,
    status: 404,
    code: "not_found",
  },
  {
    name: "problems are not cached",
    path: "/v1/nope",
    status: 404,
    answerHeaders: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  },
]);

scenarios("queries", [
  {
    name: "an unknown parameter is refused by name",
    path: "/v1/threads?limt=3",
    status: 400,
    code: "invalid_request",
    holds: ["limt"],
  },
  {
    name: "a repeated parameter is refused",
    path: "/v1/threads?limit=3&limit=4",
    status: 400,
    code: "invalid_request",
    holds: ["limit"],
  },
  {
    name: "__proto__ is an unknown parameter",
    path: "/v1/threads?__proto__=1",
    status: 400,
    code: "invalid_request",
  },
  {
    name: "a limit of nothing is refused",
    path: "/v1/threads?limit=0",
    status: 400,
    code: "invalid_request",
    holds: ["limit"],
  },
  {
    name: "a limit without bound is refused",
    path: "/v1/threads?limit=100000",
    status: 400,
    code: "invalid_request",
    holds: ["limit"],
  },
  {
    name: "a forged cursor is refused",
    path: `/v1/threads/${THREAD}/records?after=x`,
    status: 400,
    code: "invalid_request",
    holds: ["cursor"],
  },
  {
    name: "follow needs NDJSON",
    path: "/v1/records?follow=true",
    status: 400,
    code: "invalid_request",
    holds: ["application/x-ndjson"],
  },
  {
    name: "follow is true or false",
    path: "/v1/records?follow=1",
    headers: ndjson,
    status: 400,
    code: "invalid_request",
  },
  {
    name: "a negative position is refused",
    path: "/v1/records?after=-1",
    status: 400,
    code: "invalid_request",
  },
]);

test("HEAD answers as GET does, without the body", async () => {
  await using app = await TestApp.open();
  const { id } = await app.json<{ id: string }>("/v1/records", { json: emission("th_a", "one") });
  for (const path of ["/health", "/v1/status", `/v1/records/${id}`, "/v1/nope"]) {
    const get = await app.call(path);
    const head = await app.call(path, { method: "HEAD" });
    expect(head.status).toBe(get.status);
    expect(head.headers.get("content-type")).toBe(get.headers.get("content-type"));
    if (get.ok) expect(await head.text()).toBe("");
  }
});
