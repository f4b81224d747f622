import { expect, test } from "bun:test";
import { emission, TestApp } from "../kit/app.ts";

test("what nobody foresaw is told to the log only", async () => {
  await using broken = await TestApp.open();
  broken.ctx.instance.store.read = () => Promise.reject(new Error("at /secret/path with spl_live_x_token"));
  const response = await broken.call("/v1/status");
  const text = await response.text();
  expect(response.status).toBe(500);
  expect(JSON.parse(text)).toMatchObject({ code: "internal", detail: "internal error" });
  expect(text).not.toContain("/secret/path");
  expect(text).not.toContain("spl_live");
  expect(broken.logged.find((line) => line.startsWith("internal-error"))).toContain("/secret/path");
});

test("the log tells writes and refusals, without queries and tokens", async () => {
  await using fresh = await TestApp.open();
  const token = await fresh.token(["records:read"]);
  await fresh.call("/v1/threads?limit=7", { token });
  expect(fresh.logged).toEqual([]);
  await fresh.call("/v1/records?actor=did:x:hidden", { token, json: emission("th_a", "private words") });
  expect(fresh.logged).toHaveLength(1);
  expect(fresh.logged[0]).toContain('"path":"/v1/records","status":403');
  for (const secret of [token, "hidden", "private words"]) expect(fresh.logged[0]).not.toContain(secret);
});
