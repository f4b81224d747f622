import { expect, test } from "bun:test";
import type { AuditEvent, MintedToken, Page } from "../../lib/api/wire.ts";
import { emission, linesOf, TestApp } from "../kit/app.ts";
import { scenarios } from "../kit/scenario.ts";

const NDJSON = { accept: "application/x-ndjson" };
const HOUR_MS = 60 * 60 * 1000;

/** All events as NDJSON. */
async function audit(app: TestApp, query = ""): Promise<AuditEvent[]> {
  return linesOf<AuditEvent>(await app.call(`/v1/audit${query}`, { headers: NDJSON }));
}

test("mints, narrowings, revocations, trades, exports and imports say by whom", async () => {
  await using app = await TestApp.open();
  const { token } = await app.json<MintedToken>("/v1/tokens", {
    json: { account: "boss", scopes: ["admin"] },
  });
  const account = { name: "ci", scopes: ["records:read", "records:write"] };
  await app.call("/v1/service-accounts", { json: { ...account, with_token: true }, token });
  await app.call("/v1/service-accounts/ci?scopes=records:write", { method: "DELETE", token });
  await app.call("/v1/service-accounts/ci", { method: "DELETE", token });
  const minted = await app.json<MintedToken>("/v1/tokens", { json: { account: "boss" }, token });
  const rotated = await app.json<MintedToken>(`/v1/tokens/${minted.id}/rotate`, { method: "POST", token });
  await app.call(`/v1/tokens/${rotated.id}`, { method: "DELETE", token });
  await app.call("/v1/records", { json: emission("th_a", "one") });
  const bundle = await (await app.call("/v1/export", { token })).bytes();
  const headers = { "content-type": "application/octet-stream" };
  expect((await app.call("/v1/import", { body: bundle, headers, token })).status).toBe(200);
  await app.ctx.instance.store.transact(() => undefined);

  const events = await audit(app);
  expect(events.map(({ n }) => n)).toEqual(events.map((_, i) => i + 1));
  const told = events.filter(({ event }) => event !== "sign-in");
  const by = "boss";
  expect(told.map(({ event, detail }) => ({ event, ...detail }))).toMatchObject([
    { event: "account.create", account: "boss", scopes: "admin", by: "local" },
    { event: "token.mint", account: "boss", by: "local" },
    { event: "account.create", account: "ci", by },
    { event: "token.mint", account: "ci", by },
    { event: "account.narrow", account: "ci", scopes: "records:read", by },
    { event: "account.revoke", account: "ci", by },
    { event: "token.mint", token: minted.id, by },
    { event: "token.revoke", token: minted.id, by },
    { event: "token.mint", token: rotated.id, by },
    { event: "token.revoke", token: rotated.id, by },
    { event: "export", records: 1, identity: "included", by },
    { event: "import", inserted: 0, deduplicated: 1, by },
  ]);
  const [signIn] = events.filter(({ event }) => event === "sign-in");
  expect(signIn!.detail).toEqual({ account: "boss", kind: "service", remote: "192.0.2.7" });
  const text = JSON.stringify(events);
  for (const secret of [token, minted.token, rotated.token]) expect(text).not.toContain(secret.slice(-43));
});

test("sign-ins that follow each other are one", async () => {
  let now = Date.UTC(2026, 0, 1);
  await using app = await TestApp.open({ ports: { clock: () => now } });
  const token = await app.token(["records:read"]);
  const signIns = async () => {
    await app.ctx.instance.store.transact(() => undefined);
    return (await audit(app)).filter(({ event }) => event === "sign-in").length;
  };
  for (let i = 0; i < 3; i++) await app.call("/v1/status", { token });
  expect(await signIns()).toBe(1);
  now += HOUR_MS;
  await app.call("/v1/status", { token });
  expect(await signIns()).toBe(2);
});

test("pages of any size, and since a moment", async () => {
  let now = Date.UTC(2026, 0, 1);
  await using app = await TestApp.open({ ports: { clock: () => now } });
  for (let i = 0; i < 5; i++) {
    await app.token(["records:read"]);
    now += HOUR_MS;
  }
  const all = await audit(app);
  expect(all).toHaveLength(10);
  for (const limit of [1, 3, 10, 1000]) {
    const paged: AuditEvent[] = [];
    for (let after: string | null = "0"; after !== null; ) {
      const page: Page<AuditEvent> = await app.json(`/v1/audit?limit=${limit}&after=${after}`);
      expect(page.items.length).toBeLessThanOrEqual(limit);
      paged.push(...page.items);
      after = page.next;
    }
    expect(paged).toEqual(all);
    expect(await audit(app, `?limit=${limit}`)).toEqual(all);
  }
  const since = all[6]!.at;
  expect(since).toBe("2026-01-01T03:00:00.000Z");
  expect(await audit(app, `?since=${since}`)).toEqual(all.slice(6));
  expect(await audit(app, `?limit=1&since=${encodeURIComponent("2026-01-01T04:00:00+01:00")}`)).toEqual(
    all.slice(6),
  );
  expect(await audit(app, "?since=2027-01-01T00:00:00Z")).toEqual([]);
});

scenarios("asking for the audit table", [
  { name: "a reader does not", path: "/v1/audit", as: "reader", status: 403, code: "forbidden" },
  { name: "an admin does", path: "/v1/audit", as: "admin", status: 200, holds: ["account.create"] },
  { name: "since no moment", path: "/v1/audit?since=yesterday", status: 400, holds: ["since"] },
  { name: "behind no number", path: "/v1/audit?after=x", status: 400, holds: ["after"] },
]);
