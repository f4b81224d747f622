import { expect, test } from "bun:test";
import type {
  CreatedServiceAccount,
  MintedToken,
  ServiceAccount,
  ServiceAccountDetail,
  Token,
} from "../../lib/api/wire.ts";
import { seedBootstrap } from "../../lib/instance/bootstrap.ts";
import { tokenHash } from "../../lib/instance/tokens.ts";
import { ALICE, TestApp } from "../kit/app.ts";
import { scenarios } from "../kit/scenario.ts";

const BOB = "did:sync:user:bob";
const BOOTSTRAP = "/v1/service-accounts";

/** SHA-256 hex of a token that its holder made. */
function sha256Of(token: string): string {
  return tokenHash(token).toHex();
}

function trade(app: TestApp, token: string, lasting: string, remote = "192.0.2.7"): Promise<Response> {
  return app.call("/v1/token/trade", { token, remote, json: { token_sha256: sha256Of(lasting) } });
}

test("an account is made, listed, described, narrowed and revoked", async () => {
  await using app = await TestApp.open();
  const fields = {
    name: "ci",
    scopes: ["records:write", "records:read"],
    actors: [ALICE],
    description: "CI",
  };
  const made = await app.json<CreatedServiceAccount>("/v1/service-accounts", {
    json: { ...fields, with_token: true },
  });
  expect(made).toMatchObject({ ...fields, scopes: ["records:read", "records:write"], state: "active" });
  const token = made.token!;
  expect(token).toMatch(/^spl_live_ci_[A-Za-z0-9_-]{43}$/);
  expect(await app.json<ServiceAccount[]>("/v1/service-accounts")).toMatchObject([{ name: "ci" }]);
  const { tokens } = await app.json<ServiceAccountDetail>("/v1/service-accounts/ci");
  expect(tokens).toMatchObject([{ account: "ci", state: "active", kind: "bearer" }]);
  expect(JSON.stringify(tokens)).not.toContain(token.slice(-20));

  const narrow = { method: "DELETE", headers: {} };
  const narrowed = await app.json<ServiceAccount>("/v1/service-accounts/ci?scopes=records:write", narrow);
  expect(narrowed).toMatchObject({ scopes: ["records:read"], state: "active" });
  expect((await app.call("/v1/status", { token })).status).toBe(200);
  const lost = await app.call("/v1/records", { token, json: { thread: "th_a", act: "DO", body: {} } });
  expect(lost.status).toBe(403);

  expect(await app.json("/v1/service-accounts/ci", narrow)).toMatchObject({ state: "revoked" });
  const refused = await app.call("/v1/status", { token });
  expect(refused.status).toBe(401);
  expect(await refused.json()).toMatchObject({ code: "unauthorized", detail: "the token was revoked" });
  expect((await app.call("/v1/service-accounts", { json: fields })).status).toBe(409);
});

test("a token says who it is, is rotated and revoked", async () => {
  await using app = await TestApp.open();
  const expires_at = "2199-01-01T00:00:00.000Z";
  const json = { account: "web", scopes: ["records:read"], description: "laptop", expires_at };
  const { token, ...minted } = await app.json<MintedToken>("/v1/tokens", { json });
  const own = await app.json<Token>("/v1/token", { token });
  expect(own).toMatchObject({ id: minted.id, account: "web", description: "laptop", expires_at });
  expect(await app.json<Token>(`/v1/tokens/${minted.id}`)).toMatchObject({ id: minted.id });
  expect(await app.json<Token[]>("/v1/tokens")).toHaveLength(1);

  const rotated = await app.json<MintedToken>(`/v1/tokens/${minted.id}/rotate`, { method: "POST" });
  expect(rotated).toMatchObject({ account: "web", description: "laptop", expires_at });
  expect((await app.call("/v1/status", { token })).status).toBe(401);
  expect((await app.call("/v1/status", { token: rotated.token })).status).toBe(200);
  const again = await app.call(`/v1/tokens/${minted.id}/rotate`, { method: "POST" });
  expect(again.status).toBe(409);

  const revoked = await app.json(`/v1/tokens/${rotated.id}`, { method: "DELETE" });
  expect(revoked).toMatchObject({ state: "revoked" });
  expect((await app.call("/v1/status", { token: rotated.token })).status).toBe(401);
  expect(await app.json("/v1/tokens")).toMatchObject([{ state: "revoked" }, { state: "revoked" }]);
});

test("a bootstrap token says who it is without being used, and does nothing else", async () => {
  await using app = await TestApp.open();
  const { token } = await app.json<MintedToken>("/v1/bootstrap-tokens", { method: "POST" });
  expect(token).toStartWith("spl_boot_bootstrap_");
  for (let i = 0; i < 2; i++) {
    expect(await app.json("/v1/token", { token })).toMatchObject({ kind: "bootstrap", state: "active" });
  }
  const refused = await app.call("/v1/status", { token });
  expect(refused.status).toBe(403);
  expect(await refused.json()).toMatchObject({ hint: "spl token save TOKEN does that" });
  expect((await trade(app, token, "spl_live_bootstrap_lasting")).status).toBe(201);
});

test("a bootstrap token is traded once; the same trade again answers the same", async () => {
  await using app = await TestApp.open();
  const seeded = "spl_seeded-by-the-hoster";
  await seedBootstrap(app.ctx.instance, tokenHash(seeded));
  const lasting = "spl_live_bootstrap_made-by-its-holder";
  const first = await trade(app, seeded, lasting);
  expect(first.status).toBe(201);
  const traded = (await first.json()) as Token;
  expect(traded).toMatchObject({ kind: "bearer", scopes: ["admin"], account: "bootstrap", state: "active" });
  expect((await app.call("/v1/tokens", { token: lasting })).status).toBe(200);
  const repeated = await trade(app, seeded, lasting);
  expect([repeated.status, ((await repeated.json()) as Token).id]).toEqual([201, traded.id]);

  for (const path of ["/v1/token", "/v1/status"]) {
    const spent = await app.call(path, { token: seeded });
    expect([spent.status, spent.headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="spl"']);
    expect(await spent.json()).toMatchObject({
      code: "bootstrap_spent",
      detail: expect.stringMatching(/already been used or has expired.*1 hour/),
      hint: expect.stringMatching(
        /regenerate bootstrap token.*spl service-account create --bootstrap --with-token/,
      ),
    });
  }
  const other = await trade(app, seeded, "spl_live_bootstrap_of-someone-else");
  expect([other.status, ((await other.json()) as { code: string }).code]).toEqual([401, "bootstrap_spent"]);

  await app.call(`/v1/tokens/${traded.id}`, { method: "DELETE" });
  expect((await trade(app, seeded, lasting)).status).toBe(401);
});

test("a bootstrap token lives for an hour, seeded again or not, and another one makes it void", async () => {
  let now = 1_000_000;
  await using app = await TestApp.open({ ports: { clock: () => now } });
  const seed = () => seedBootstrap(app.ctx.instance, tokenHash("spl_seeded"));
  await seed();
  now += 60 * 60 * 1000 - 1;
  await seed();
  expect((await app.call("/v1/token", { token: "spl_seeded" })).status).toBe(200);
  now += 1;
  await seed();
  expect((await trade(app, "spl_seeded", "spl_live_x")).status).toBe(401);
  const mint = async () => (await app.json<MintedToken>("/v1/bootstrap-tokens", { method: "POST" })).token;
  const [first, second] = [await mint(), await mint()];
  expect((await trade(app, first, "spl_live_x")).status).toBe(401);
  expect((await trade(app, second, "spl_live_x")).status).toBe(201);
});

test("a token that the hoster chose anew makes those before it void, also when an old one is named again", async () => {
  await using app = await TestApp.open();
  const seed = (token: string) => seedBootstrap(app.ctx.instance, tokenHash(token));
  await seed("spl_first");
  const { token: minted } = await app.json<MintedToken>("/v1/bootstrap-tokens", { method: "POST" });
  await seed("spl_second");
  await seed("spl_first");
  for (const token of ["spl_first", minted]) expect((await trade(app, token, "spl_live_x")).status).toBe(401);
  expect((await trade(app, "spl_second", "spl_live_x")).status).toBe(201);
  await seed("spl_third");
  expect((await app.call("/v1/tokens", { token: "spl_live_x" })).status).toBe(200);
});

test("the first account is made over the socket, once, and not after a bootstrap token", async () => {
  await using app = await TestApp.open();
  const json = { bootstrap: true, with_token: true };
  expect((await app.call(BOOTSTRAP, { json, remote: "127.0.0.1" })).status).toBe(401);
  const limited = await app.call(BOOTSTRAP, { json: { ...json, scopes: ["records:read"] } });
  expect(limited.status).toBe(400);
  const first = await app.json<CreatedServiceAccount>(BOOTSTRAP, { json });
  expect(first).toMatchObject({
    name: "operator",
    scopes: ["admin"],
    token: expect.stringMatching(/^spl_live_/),
  });
  const second = await app.call(BOOTSTRAP, { json: { ...json, name: "other" } });
  expect([second.status, await second.json()]).toMatchObject([409, { code: "conflict" }]);

  await using seeded = await TestApp.open();
  await seedBootstrap(seeded.ctx.instance, tokenHash("spl_seeded"));
  expect((await seeded.call(BOOTSTRAP, { json })).status).toBe(409);
});

test("a signed-in device makes further accounts, with no more than it has", async () => {
  await using app = await TestApp.open();
  const token = await app.token(["admin", "records:read"]);
  const json = { bootstrap: true, with_token: true };
  for (const name of ["operator", "operator-2", "operator-3"]) {
    const made = await app.json<CreatedServiceAccount>(BOOTSTRAP, { json, token });
    expect(made).toMatchObject({ name, scopes: ["admin", "records:read"], actors: [] });
    expect((await app.call("/v1/tokens", { token: made.token! })).status).toBe(200);
  }
  const named = { ...json, name: "ops", scopes: ["records:read"] };
  expect(await app.json(BOOTSTRAP, { json: named, token })).toMatchObject({
    name: "ops",
    scopes: ["records:read"],
  });
  const weak = await app.token(["records:read", "records:write"]);
  expect((await app.call(BOOTSTRAP, { json, token: weak })).status).toBe(403);
});

test("who speaks for some actors only hands out no others", async () => {
  await using app = await TestApp.open();
  const token = await app.token(["admin"], [ALICE]);
  const all = await app.json<MintedToken>("/v1/tokens", { json: { account: "all", scopes: ["admin"] } });
  const account = { name: "x", scopes: ["records:write"] };
  const refused: [string, object, string?][] = [
    ["/v1/service-accounts", { ...account, actors: [BOB] }],
    ["/v1/service-accounts", { ...account, actors: [ALICE, BOB] }],
    ["/v1/service-accounts", { bootstrap: true, actors: [] }],
    ["/v1/tokens", { account: "all" }],
    ["/v1/tokens", { account: "new", scopes: ["records:write"], actors: [BOB] }],
    [`/v1/tokens/${all.id}/rotate`, {}],
    ["/v1/bootstrap-tokens", {}],
  ];
  for (const [path, json] of refused) {
    const response = await app.call(path, { json, token });
    expect({ path, status: response.status }).toEqual({ path, status: 403 });
    expect(await response.text()).not.toContain("spl_live_");
  }
  expect(await app.json("/v1/service-accounts", { json: account, token })).toMatchObject({ actors: [ALICE] });
  expect((await app.call("/v1/status", { token: all.token })).status).toBe(200);
});

test("a claim to speak for an actor is checked, and names who speaks", async () => {
  await using app = await TestApp.open();
  const token = await app.token(["records:write", "records:read"], [ALICE, BOB]);
  const claim = (actor: string) => ({ "x-syncropel-actor": actor });
  const json = { thread: "th_a", act: "DO", body: {} };
  expect((await app.call("/v1/records", { json, token })).status).toBe(422);
  const emitted = await app.call("/v1/records", { json, token, headers: claim(BOB) });
  expect(emitted.status).toBe(201);
  const { id } = (await emitted.json()) as { id: string };
  expect(await app.json(`/v1/records/${id}`)).toMatchObject({ record: { actor: BOB } });
  const carol = await app.call("/v1/status", { token, headers: claim("did:sync:user:carol") });
  expect([carol.status, await carol.json()]).toMatchObject([403, { code: "forbidden" }]);
  expect((await app.call("/v1/status", { token, headers: claim("carol") })).status).toBe(400);
  expect((await app.call("/v1/status", { headers: claim("did:sync:user:carol") })).status).toBe(200);
});

scenarios("refusals around accounts", [
  {
    name: "an account needs a name",
    path: "/v1/service-accounts",
    json: { scopes: ["records:read"] },
    status: 400,
    holds: ["name is missing"],
  },
  {
    name: "and scopes",
    path: "/v1/service-accounts",
    json: { name: "x" },
    status: 400,
    holds: ["scopes is missing"],
  },
  {
    name: "that exist",
    path: "/v1/service-accounts",
    json: { name: "x", scopes: ["records:fly"] },
    status: 400,
    holds: ["records:fly", "records:read"],
  },
  {
    name: "a name is plain",
    path: "/v1/service-accounts",
    json: { name: "../x", scopes: ["admin"] },
    status: 400,
  },
  {
    name: "the host's own names are kept",
    path: "/v1/service-accounts",
    json: { name: "bootstrap-2", scopes: ["admin"] },
    status: 400,
  },
  {
    name: "an expiry without a token is a mistake",
    path: "/v1/service-accounts",
    json: { name: "x", scopes: ["admin"], expires_at: "2199-01-01T00:00:00.000Z" },
    status: 400,
    holds: ["with_token"],
  },
  {
    name: "an expiry in the past is one too",
    path: "/v1/tokens",
    json: { account: "x", scopes: ["admin"], expires_at: "2001-01-01T00:00:00.000Z" },
    status: 400,
  },
  { name: "an unknown token has no description", path: "/v1/tokens/tok_000000000000", status: 404 },
  { name: "an unknown account neither", path: "/v1/service-accounts/nobody", status: 404 },
  {
    name: "what an account does not have cannot be taken",
    path: "/v1/service-accounts/a0?scopes=admin",
    method: "DELETE",
    status: 400,
    holds: ["it has records:read"],
  },
  {
    name: "its last scope is taken by revoking it",
    path: "/v1/service-accounts/a0?scopes=records:read",
    method: "DELETE",
    status: 400,
  },
  { name: "the home's owner has no token", path: "/v1/token", status: 404, holds: ["owner"] },
  {
    name: "a lasting token needs no trade",
    path: "/v1/token/trade",
    as: "admin",
    json: { token_sha256: "0".repeat(64) },
    status: 400,
    holds: ["no bootstrap token"],
  },
  {
    name: "a trade needs a token",
    path: "/v1/token/trade",
    remote: "192.0.2.7",
    json: { token_sha256: "0".repeat(64) },
    status: 401,
  },
]);
