import { expect, test } from "bun:test";
import { fromProblem, HTTP_STATUS, toProblem } from "../../../lib/api/problem.ts";
import { type ErrorCode, SplError } from "../../../lib/base/errors.ts";

test("an error crosses the wire with code, message, hint and facts", () => {
  for (const code of Object.keys(HTTP_STATUS) as ErrorCode[]) {
    const error = new SplError(code, "what happened", {
      hint: "what to do",
      detail: { n: 3, who: "x", ok: false },
    });
    const read = fromProblem(JSON.parse(JSON.stringify(toProblem(error))))!;
    expect(read).toMatchObject({ code, message: "what happened", hint: "what to do", detail: error.detail! });
  }
});

test("a problem is as RFC 9457 says", () => {
  expect(toProblem(new SplError("store_not_empty", "import refused"))).toEqual({
    type: "urn:syncropel:problem:store_not_empty",
    title: "Store not empty",
    status: 409,
    code: "store_not_empty",
    detail: "import refused",
  });
});

test("facts never stand in for the members of a problem", () => {
  const error = new SplError("conflict", "m", {
    detail: { status: 200, code: "ok", type: "x", detail: "y" },
  });
  expect(toProblem(error)).toMatchObject({ status: 409, code: "conflict", detail: "m" });
});

test("of an unknown exception nothing is told", () => {
  const told = JSON.stringify([
    toProblem(new Error("/root/x spl_live_secret")),
    toProblem("thrown text"),
    toProblem(null),
  ]);
  expect(told).not.toContain("/root");
  expect(told).not.toContain("spl_live");
  expect(told).not.toContain("thrown text");
  expect(toProblem(undefined)).toMatchObject({ code: "internal", status: 500, detail: "internal error" });
});

test("what is no problem document is none", () => {
  for (const value of [
    null,
    1,
    "x",
    [],
    {},
    { code: "conflict" },
    { detail: "x" },
    { code: 1, detail: "x" },
  ]) {
    expect(fromProblem(value)).toBeNull();
  }
});

test("a code of a newer release keeps its message", () => {
  expect(fromProblem({ code: "quota_exceeded", detail: "too much", limit: 5, nested: {} })).toMatchObject({
    code: "internal",
    message: "too much",
    detail: { limit: 5 },
  });
  expect(fromProblem({ code: "toString", detail: "x" })).toMatchObject({ code: "internal" });
});

test("refusals are client errors, faults are server errors", () => {
  for (const [code, status] of Object.entries(HTTP_STATUS))
    expect([code, status >= 400 && status < 600]).toEqual([code, true]);
  expect(HTTP_STATUS.unauthorized).toBe(401);
  expect(HTTP_STATUS.forbidden).toBe(403);
  expect(HTTP_STATUS.superseded).toBe(409);
  expect(HTTP_STATUS.disk_full).toBe(507);
});
