import { expect, test } from "bun:test";
import type { MintedToken } from "../../lib/api/wire.ts";
import { SCOPES, type Scope } from "../../lib/instance/scopes.ts";
import { mint } from "../../lib/instance/tokens.ts";
import type { Route } from "../../server/route.ts";
import { ROUTES } from "../../server/routes/index.ts";
import { type CallOptions, emission, TestApp } from "../kit/app.ts";

/** Every route with every scope, every grain, none, and without a token. A new route is walked without being named here. */

const THREAD = "th_alpha";
const GRAINS = ["read", "write"].map((access) => `thread:${THREAD}:${access}`);
const REFUSALS = [401, 403];

/** What lets a request past the checks that a handler makes of its own. */
const QUERIES: Record<string, string> = {
  "GET /v1/records": `?thread=${THREAD}`,
  "GET /v1/export": "?identity=none",
};

let app: TestApp;

function request({ method, path, bodies }: Route, id: string): [string, CallOptions] {
  const query = QUERIES[`${method} ${path}`] ?? "";
  // Nothing that a walk could revoke is there.
  const filled = path
    .replace(":thread", THREAD)
    .replace("/records/:id", `/records/${id}`)
    .replace(/:\w+/, "nothing-of-this-name");
  if (!bodies) return [filled + query, { method }];
  const body = path === "/v1/records" ? JSON.stringify(emission(THREAD, "walked")) : "{}";
  return [filled + query, { method, body, headers: { "content-type": Object.keys(bodies)[0]! } }];
}

/** The token of an account with exactly these scopes, also with none, which no route would make. */
function tokenWith(scopes: string[]): Promise<string> {
  const { instance } = app.ctx;
  return instance.store.transact(async (writer) => {
    const account = {
      name: `walker-${scopes.join("-").replace(/\W|_/g, "-")}`.slice(0, 64),
      kind: "service" as const,
      scopes,
      actors: [],
      description: "",
      createdAt: 1,
      revokedAt: null,
    };
    await writer.addAccount(account);
    return (await mint(instance, writer, account, {})).token;
  });
}

function admits({ scope, alternative, grain }: Route, held: string): boolean {
  if (scope === "any" || held === scope || held === alternative || held === "admin") return true;
  return grain !== undefined && GRAINS.includes(held) && held.endsWith(`:${grain}`);
}

test("a route answers exactly those whose scope or grain it asks for", async () => {
  app = await TestApp.open();
  await using _ = app;
  const { id } = await app.json<{ id: string }>("/v1/records", { json: emission(THREAD, "first") });
  const held: (Scope | string)[] = [...SCOPES, ...GRAINS, ""];
  const tokens = new Map<string, string>();
  for (const scope of held) tokens.set(scope, await tokenWith(scope === "" ? [] : [scope]));
  const bootstrap = await app.json<MintedToken>("/v1/bootstrap-tokens", { method: "POST" });

  const wrong: string[] = [];
  const scoped = ROUTES.filter(({ scope }) => scope !== null);
  for (const route of scoped) {
    const [path, options] = request(route, id);
    const named = `${route.method} ${route.path}`;
    const status = async (more: CallOptions) => {
      const response = await app.call(path, { ...options, ...more });
      await response.body?.cancel();
      return response.status;
    };
    for (const [scope, token] of tokens) {
      const answered = await status({ token });
      const expected = admits(route, scope) ? "let in" : 403;
      const happened = REFUSALS.includes(answered) ? answered : "let in";
      if (happened !== expected) wrong.push(`${named} with "${scope}": ${answered}, not ${expected}`);
      if (answered >= 500) wrong.push(`${named} with "${scope}": ${answered}`);
    }
    if ((await status({ remote: "192.0.2.7" })) !== 401) wrong.push(`${named} without a token`);
    const early = REFUSALS.includes(await status({ token: bootstrap.token }));
    if (early === (route.scope === "any")) wrong.push(`${named} with a bootstrap token`);
  }
  expect(wrong).toEqual([]);
  const managed = scoped.filter(({ alternative }) => alternative !== undefined);
  expect(managed.map(({ method, path, alternative }) => `${method} ${path} ${alternative}`).sort()).toEqual([
    "GET /v1/consent federation:manage",
    "GET /v1/federation/pairs federation:manage",
    "GET /v1/federation/pairs/:pair federation:manage",
  ]);
  expect(scoped.length).toBeGreaterThan(20);
});
