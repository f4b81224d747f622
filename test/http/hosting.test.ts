import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { SplError } from "../../lib/base/errors.ts";
import type { HostingSettings } from "../../lib/hosting/hosting.ts";
import { HOSTING_ROUTES } from "../../server/hosting/routes/index.ts";
import { dumpOf, type HostedView, HostingHere } from "../kit/hosting_app.ts";
import { testSigner } from "../kit/records.ts";
import { statementOf } from "../kit/statements.ts";

/** What the hosting service answers to everything that a stranger may send it. */

let here: HostingHere;
/** An owner with an instance, and another. */
let alice: { cookie: string; view: HostedView };
let bob: { cookie: string; view: HostedView };

beforeAll(async () => {
  here = await HostingHere.open();
  alice = await here.owned("alices");
  bob = await here.owned("bobs-one");
});
afterAll(() => here[Symbol.asyncDispose]());
beforeEach(() => {
  here.driver.seen.length = 0;
});

interface Told {
  status: number;
  code?: string;
}

async function told(answer: Promise<Response> | Response): Promise<Told> {
  const response = await answer;
  const text = await response.text();
  if (response.headers.get("content-type") !== "application/problem+json") return { status: response.status };
  return { status: response.status, code: (JSON.parse(text) as { code: string }).code };
}

/** A path of the route's shape; its parameters name what exists. */
function pathOf(path: string): string {
  const secret = alice.view.first_run_url!.split("/").at(-1)!;
  return path
    .replace(":id", alice.view.id)
    .replace(":secret", secret)
    .replace(":label", "alices")
    .replace(":did", "did:sync:instance:nobody");
}

async function withSettings<T>(
  settings: Partial<HostingSettings>,
  use: (here: HostingHere) => Promise<T>,
): Promise<T> {
  await using other = await HostingHere.open(settings);
  return await use(other);
}

describe("every route", () => {
  const resources = [...Map.groupBy(HOSTING_ROUTES, ({ path }) => path)];

  test.each(resources)("%s refuses other methods and names those that it has", async (path, routes) => {
    const client = routes[0]!.operator ? null : "192.0.2.9";
    const has = routes.map(({ method }): string => method);
    for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      if (has.includes(method)) continue;
      const response = await here.request(pathOf(path), { method, client });
      expect([method, response.status]).toEqual([method, 405]);
      for (const each of has) expect(response.headers.get("allow")).toContain(each);
    }
  });

  test.each(resources)("%s answers to its exact path only", async (path) => {
    for (const odd of [
      `${pathOf(path)}/`,
      `${pathOf(path)}//`,
      `/${pathOf(path)}`,
      `${pathOf(path)}/more/more`,
    ]) {
      if (odd === "//" || odd === "//more/more") continue;
      expect([odd, (await here.request(odd, { method: "PATCH" })).status]).toEqual([odd, 404]);
    }
  });

  test("of who runs the service is nothing by TCP, whatever a request claims", async () => {
    for (const { method, path } of HOSTING_ROUTES.filter(({ operator }) => operator)) {
      const claims = [
        {},
        { "x-forwarded-for": "127.0.0.1" },
        { forwarded: "for=unix:", "x-real-ip": "127.0.0.1" },
        { "x-forwarded-host": "localhost", "x-operator": "1" },
      ];
      for (const headers of claims) {
        const init = {
          method,
          headers: { ...headers, origin: here.base },
          cookie: alice.cookie,
          client: "127.0.0.1",
        };
        expect([path, await told(here.request(pathOf(path), init))]).toEqual([
          path,
          { status: 404, code: "not_found" },
        ]);
      }
    }
    expect((await here.request("/v1/host/instances", { client: null })).status).toBe(200);
  });

  test("without a session tells nothing of an instance, and with another's session the same as of none", async () => {
    const owned = HOSTING_ROUTES.filter(({ path }) => path.startsWith("/v1/provision/:id"));
    expect(owned.length).toBeGreaterThan(4);
    for (const { method, path } of owned) {
      const call = (id: string, cookie: string) =>
        here.request(path.replace(":id", id), {
          method,
          headers: { origin: here.base, "content-type": "application/json" },
          cookie,
          ...(method !== "GET" && { body: "{}" }),
        });
      for (const cookie of ["", "spl_owner=wrong", "spl_owner=", `other=${alice.cookie.split("=")[1]}`]) {
        expect([path, await told(call(alice.view.id, cookie))]).toEqual([
          path,
          { status: 401, code: "unauthorized" },
        ]);
      }
      const texts = await Promise.all(
        [alice.view.id, "0000000000000000", "..%2f", "%00", "x".repeat(2000)].map(async (id) => {
          const response = await call(id, bob.cookie);
          return `${response.status} ${await response.text()}`;
        }),
      );
      expect([path, [...new Set(texts)].length, texts[0]!.slice(0, 3)]).toEqual([path, 1, "404"]);
    }
    expect((await here.service.hosting.registry.instance(alice.view.id))!.state).toBe("ready");
  });

  test("answers HEAD as GET without a body", async () => {
    for (const path of ["/start", "/health", "/v1/plans", "/recover", "/v1/labels/free-one"]) {
      const response = await here.request(path, { method: "HEAD" });
      expect([path, response.status, await response.text()]).toEqual([path, 200, ""]);
    }
  });
});

describe("bodies", () => {
  const json = { "content-type": "application/json" };
  const send = (path: string, body: string, headers: Record<string, string> = json) =>
    told(
      here.request(path, {
        method: "POST",
        body,
        headers: { origin: here.base, ...headers },
        client: `192.0.2.${100 + Math.floor(Math.random() * 100)}`,
      }),
    );

  test("that are no JSON, of another type, too large or of another shape are refused, each by its code", async () => {
    for (const path of ["/v1/provision", "/v1/recover"]) {
      expect(await send(path, "{}", {})).toEqual({ status: 415, code: "unsupported_media_type" });
      expect(await send(path, "a=b", { "content-type": "application/x-www-form-urlencoded" })).toMatchObject({
        status: 415,
      });
      expect(await send(path, "{}", { "content-type": "text/plain" })).toMatchObject({ status: 415 });
      for (const text of ["", "{", "nonsense", '{"a":1}}', '{"label":"x","label":"y"}', "\ufeff{}", "\xff"]) {
        expect([text, await send(path, text)]).toEqual([text, { status: 400, code: "invalid_json" }]);
      }
      for (const value of [
        null,
        1,
        "x",
        [],
        {},
        { label: 1 },
        { code: [] },
        { label: { a: 1 } },
        { label: null },
      ]) {
        expect([value, await send(path, JSON.stringify(value))]).toEqual([
          value,
          { status: 400, code: "invalid_request" },
        ]);
      }
      expect(await send(path, "[".repeat(10_000))).toMatchObject({ status: 400 });
      const large = JSON.stringify({ label: "x".repeat(20_000), code: "x".repeat(20_000) });
      expect(await send(path, large)).toEqual({ status: 413, code: "body_too_large" });
    }
  });

  test("with a field that nobody knows are refused", async () => {
    const unknown = [
      ["/v1/provision", { label: "fine-one", owner: alice.view.id }],
      ["/v1/provision", { label: "fine-one", id: "0000000000000000" }],
      ["/v1/recover", { code: "x", owner: "y" }],
    ] as const;
    for (const [path, body] of unknown) {
      expect(await send(path, JSON.stringify(body))).toEqual({ status: 400, code: "invalid_request" });
    }
    expect(await send("/v1/provision", '{"label":"fine-one","__proto__":{"plan":"free"}}')).toMatchObject({
      status: 400,
    });
    expect(await here.service.hosting.registry.isTaken("fine-one")).toBe(false);
  });

  test("name the plans that there are", async () => {
    expect(await send("/v1/provision", '{"label":"fine-one","plan":"gold"}')).toEqual({
      status: 400,
      code: "invalid_request",
    });
    const strange = await here.post("/v1/provision", { label: "fine-one", plan: "toString" });
    expect(strange.status).toBe(400);
  });
});

describe("labels", () => {
  const INJECTIONS = [
    "a\r\nSet-Cookie: x=1",
    "a\u0000b",
    "../../etc",
    "..%2f..%2fetc",
    "a/b/c",
    "<script>alert(1)</script>",
    "'; DROP TABLE labels; --",
    "\u202eevil",
    "tеam",
    "x".repeat(10_000),
    "\u001b[2J",
    "xn--80ak6aa92e",
  ];

  test.each(INJECTIONS)("%p gets into nothing", async (label) => {
    const logged = here.logged.length;
    const client = `198.51.100.${INJECTIONS.indexOf(label)}`;
    const begun = await here.post("/v1/provision", { label }, { client });
    const text = await begun.text();
    expect(begun.status).toBe(400);
    expect(text).toMatch(/^[ -~]{1,1000}$/);
    for (const [, value] of begun.headers) expect(value).toMatch(/^[ -~]*$/);
    const looked = await here.request(`/v1/labels/${encodeURIComponent(label)}`, { client });
    expect(await looked.json()).toMatchObject({ available: false });
    const through = await here.request(`/i/${encodeURIComponent(label)}/v1/status`, { client });
    expect([through.status, await told(through)]).toEqual([404, { status: 404, code: "not_found" }]);
    const shown = await here.request(`/v1/host/instances/${encodeURIComponent(label)}`, { client: null });
    expect(shown.status).toBe(404);
    expect(here.logged.slice(logged).join("\n")).toMatch(/^[ -~]*$/);
    expect(here.driver.seen).toEqual([]);
  });

  test("with a percent-encoding that is none are refused as such", async () => {
    expect(await told(here.request("/v1/labels/%E0%A4%A"))).toEqual({ status: 400, code: "invalid_request" });
    expect(await told(here.request("/i/%ff/v1/status"))).toEqual({ status: 404, code: "not_found" });
  });

  test("that somebody has are taken; their state, owner and id are told to nobody", async () => {
    const answer = await here.request("/v1/labels/alices", { cookie: bob.cookie });
    expect(await answer.json()).toEqual({ label: "alices", available: false, reason: "it is taken" });
    expect(await told(here.post("/v1/provision", { label: "alices" }, { cookie: bob.cookie }))).toEqual({
      status: 409,
      code: "label_taken",
    });
  });
});

describe("the Host header", () => {
  const status = async (host: string | null, path = "/health") => (await here.request(path, { host })).status;

  test("of the service and of instances, in any case and with any port, is answered", async () => {
    for (const host of ["hosting.example", "hosting.example:9200", "HOSTING.Example:1"]) {
      expect([host, await status(host)]).toEqual([host, 200]);
    }
    const response = await here.request("/v1/status", { host: "ALICES.hosting.example:9200" });
    expect(await response.json()).toMatchObject({ path: "/v1/status" });
  });

  test("of anybody else is refused", async () => {
    const foreign = [
      "evil.com",
      "hosting.example.evil.com",
      "evilhosting.example",
      "127.0.0.1",
      "127.0.0.1:9200",
      "[::1]:9200",
      "localhost",
      "hosting.example.",
      "alices.hosting.example.",
      "hosting.example:port",
      "hosting.example:999999",
      "hosting.example@evil.com",
      "hosting.example/evil",
      "hosting.example, evil.com",
      "hosting .example",
      "",
      "[",
    ];
    for (const host of foreign) expect([host, await status(host)]).toEqual([host, 403]);
  });

  test("of a label that nobody has, or that can be none, leads nowhere", async () => {
    const labels = [
      "nobody-here",
      "a.b",
      "x.alices",
      "-a-",
      "xn--80ak6aa92e",
      "www",
      "..",
      "a".repeat(60),
      "",
      "alices_",
    ];
    for (const label of labels) {
      const { status: found } = await here.request("/health", { host: `${label}.hosting.example` });
      expect([label, found]).toEqual([label, 404]);
    }
    for (const label of ["al%69ces", "tеam"]) {
      // A header holds bytes: as a client would send them.
      const host = Buffer.from(`${label}.hosting.example`).toString("latin1");
      expect([label, await status(host)]).toEqual([label, 403]);
    }
    expect(here.driver.seen).toEqual([]);
  });

  test("decides alone: what a proxy header says does not", async () => {
    const headers = {
      "x-forwarded-host": "alices.hosting.example",
      forwarded: "host=alices.hosting.example",
    };
    const response = await here.request("/v1/plans", { headers });
    expect(await response.json()).toHaveProperty("plans");
    expect(here.driver.seen).toEqual([]);
  });
});

describe("the session", () => {
  test("is in a cookie that no script, no other site and no subdomain gets", async () => {
    const plain = (await here.post("/v1/provision", { label: "cookie-one" }, { client: "192.0.2.50" }))
      .headers;
    expect(plain.get("set-cookie")).toMatch(
      /^spl_owner=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict$/,
    );
    await withSettings({ base: "https://hosting.example" }, async (https) => {
      const begun = await https.post("/v1/provision", { label: "myteam" });
      const cookie = begun.headers.get("set-cookie")!;
      expect(cookie).toMatch(
        /^__Host-spl_owner=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict; Secure$/,
      );
      const { id } = (await begun.json()) as HostedView;
      const [pair] = cookie.split(";");
      expect((await https.request(`/v1/provision/${id}`, { cookie: pair! })).status).toBe(200);
      // A subdomain, or a man in the middle of plain http, can set a cookie without the prefix only.
      const tossed = pair!.replace("__Host-", "");
      expect((await https.request(`/v1/provision/${id}`, { cookie: tossed })).status).toBe(401);
    });
  });

  test("is kept as it is by who has one, ends with its sign-out and after 30 days", async () => {
    await using own = await HostingHere.open();
    const { cookie, view } = await own.owned("myteam");
    const again = await own.post("/v1/provision", { label: "second" }, { cookie });
    expect(again.headers.get("set-cookie")).toBeNull();
    const look = async (shown: string) =>
      (await own.request(`/v1/provision/${view.id}`, { cookie: shown })).status;
    own.now += 29 * 86_400_000;
    expect(await look(cookie)).toBe(200);
    own.now += 2 * 86_400_000;
    expect(await look(cookie)).toBe(401);
    const other = await own.owned("third");
    const out = await own.post("/v1/sign-out", {}, { cookie: other.cookie });
    expect(out.headers.get("set-cookie")).toContain("spl_owner=; Path=/; Max-Age=0;");
    expect((await own.request(`/v1/provision/${other.view.id}`, { cookie: other.cookie })).status).toBe(401);
  });

  test("writes from our own pages only", async () => {
    const write = (origin: string | null, cookie: string, headers: Record<string, string> = {}) =>
      told(
        here.request(`/v1/provision/${alice.view.id}/regenerate`, {
          method: "POST",
          cookie,
          headers: { ...headers, ...(origin !== null && { origin }) },
        }),
      );
    const foreign = [
      null,
      "null",
      "https://evil.com",
      "http://evil.com",
      "http://alices.hosting.example:9200",
      "http://hosting.example",
      "http://hosting.example:9201",
      "https://hosting.example:9200",
      "http://hosting.example:9200.evil.com",
      "http://HOSTING.example:9200/",
      "http://hosting.example:9200, http://evil.com",
      "",
    ];
    for (const origin of foreign) {
      expect([origin, await write(origin, alice.cookie)]).toEqual([
        origin,
        { status: 403, code: "host_refused" },
      ]);
    }
    expect(await write("null", alice.cookie, { "sec-fetch-site": "cross-site" })).toMatchObject({
      status: 403,
    });
    expect(await write("null", alice.cookie, { "sec-fetch-site": "same-site" })).toMatchObject({
      status: 403,
    });
    expect(await write(here.base, alice.cookie)).toEqual({ status: 200 });
  });

  test("is not needed to begin, by a terminal; a page of another site cannot begin at all", async () => {
    const headers = { "content-type": "application/json" };
    const begin = (label: string, more: Record<string, string> = {}) =>
      here.request("/v1/provision", {
        method: "POST",
        headers: { ...headers, ...more },
        body: JSON.stringify({ label }),
        client: "192.0.2.51",
      });
    expect((await begin("terminal")).status).toBe(202);
    expect(await told(begin("foreign", { origin: "https://evil.com" }))).toEqual({
      status: 403,
      code: "host_refused",
    });
    const preflight = await here.request("/v1/provision", {
      method: "OPTIONS",
      headers: { origin: "https://evil.com", "access-control-request-method": "POST" },
    });
    expect(preflight.status).toBe(405);
    expect(preflight.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("comes back by recovery code, typed anyhow, and not by a wrong one", async () => {
    await using own = await HostingHere.open();
    const { view } = await own.owned("myteam");
    const path = new URL(view.first_run_url!).pathname;
    const revealed = await own.request(path, { method: "POST" });
    const { recovery_code } = (await revealed.json()) as { recovery_code: string };
    const recover = (code: string) => own.post("/v1/recover", { code });
    const back = await recover(recovery_code.toUpperCase().replaceAll("-", " "));
    const cookie = back.headers.get("set-cookie")!.split(";")[0]!;
    expect((await own.request(`/v1/provision/${view.id}`, { cookie })).status).toBe(200);
    for (const code of ["", "x", "x".repeat(200), recovery_code.slice(1)]) {
      expect(await told(recover(code))).toEqual({ status: 401, code: "unauthorized" });
    }
    expect(await told(recover("x".repeat(201)))).toEqual({ status: 400, code: "invalid_request" });
    const codes = await Promise.all(Array.from({ length: 10 }, () => told(recover("wrong"))));
    expect(codes.at(-1)).toEqual({ status: 429, code: "rate_limited" });
  });
});

describe("a recovery code", () => {
  test("is shown with one of two first tokens that are asked for at once, and that one is good", async () => {
    await using own = await HostingHere.open();
    const { view, cookie } = await own.owned("first-one");
    const other = await own.owned("second-one", cookie);
    const codes = await Promise.all(
      [view, other.view].map(async ({ first_run_url }) => {
        const revealed = await own.request(new URL(first_run_url!).pathname, { method: "POST" });
        return ((await revealed.json()) as { recovery_code: string | null }).recovery_code;
      }),
    );
    const shown = codes.filter((code) => code !== null);
    expect(shown).toHaveLength(1);
    expect((await own.post("/v1/recover", { code: shown[0] })).status).toBe(200);
  });

  test("is made anew for the owner, in place of the one before it, and for nobody else", async () => {
    await using own = await HostingHere.open();
    const { view, cookie } = await own.owned("myteam");
    const revealed = await own.request(new URL(view.first_run_url!).pathname, { method: "POST" });
    const lost = ((await revealed.json()) as { recovery_code: string }).recovery_code;
    expect(await told(own.post("/v1/recovery-code", {}))).toEqual({ status: 401, code: "unauthorized" });
    const foreign = { cookie, headers: { origin: "http://myteam.hosting.example:9200" } };
    expect(await told(own.post("/v1/recovery-code", {}, foreign))).toMatchObject({ status: 403 });
    const made = await own.post("/v1/recovery-code", {}, { cookie });
    const { recovery_code } = (await made.json()) as { recovery_code: string };
    expect(await told(own.post("/v1/recover", { code: lost }))).toEqual({
      status: 401,
      code: "unauthorized",
    });
    expect((await own.post("/v1/recover", { code: recovery_code })).status).toBe(200);
  });
});

describe("the operator's sleep", () => {
  test("says whether the instance is needed or cannot be stopped", async () => {
    await using own = await HostingHere.open();
    const { view } = await own.owned("myteam");
    const sleep = () => own.request("/v1/host/instances/myteam/sleep", { method: "POST", client: null });
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const busy = own.service.awake.hold(view.id, () => over);
    expect(await told(sleep())).toEqual({ status: 409, code: "conflict" });
    end();
    await busy;
    own.driver.before = (step) => {
      if (step === "sleep") throw new Error("stuck");
    };
    expect(await told(sleep())).toEqual({ status: 503, code: "hosting_unavailable" });
    own.driver.before = () => undefined;
    expect(await (await sleep()).json()).toMatchObject({ label: "myteam", state: "asleep" });
  });
});

describe("the operator's view", () => {
  test("of a label that is free again is that of its last instance, also by id", async () => {
    await using own = await HostingHere.open();
    own.driver.before = (step) => {
      if (step === "boot") throw new SplError("hosting_unavailable", "no capacity", { hint: "later" });
    };
    const first = await own.owned("myteam");
    const second = await own.owned("myteam", first.cookie);
    const shown = (name: string) =>
      own.request(`/v1/host/instances/${name}`, { client: null }).then((answer) => answer.json());
    const failed = { state: "failed", failure: { phase: "boot", message: "no capacity" } };
    expect(await shown("myteam")).toMatchObject({ id: second.view.id, ...failed });
    expect(await shown(first.view.id)).toMatchObject({ id: first.view.id, label: "myteam", ...failed });
    own.driver.before = () => undefined;
    const third = await own.owned("myteam", first.cookie);
    expect(await shown("myteam")).toMatchObject({ id: third.view.id, state: "awake", failure: null });
    // What works on an instance takes only one that there is.
    const wake = `/v1/host/instances/${first.view.id}/wake`;
    expect((await own.request(wake, { method: "POST", client: null })).status).toBe(404);
  });
});

describe("the address of an instance that is gone", () => {
  const gone = (own: HostingHere) => own.request("/health", { host: "myteam.hosting.example" });

  test("names no place where it was itself, whatever it had published", async () => {
    await using own = await HostingHere.open();
    const { view, cookie } = await own.owned("myteam");
    const { did } = testSigner(1);
    await own.db.run("UPDATE instances SET did = ?", did);
    const { registry } = own.service.hosting;
    await registry.putStatement(did, JSON.stringify(statementOf({ url: view.url })), null);
    await own.post(`/v1/provision/${view.id}/leave`, { without_bundle: true }, { cookie });
    const here = await gone(own);
    expect([here.status, here.headers.get("syncropel-statement")]).toEqual([410, null]);
    const told = (await here.json()) as Record<string, unknown>;
    expect(told.detail).toBe(`the instance myteam has left; where ${did} lives now was not published here`);
    expect([told.hint, told.url, told.statement]).toEqual([
      "ask its owner for the new address",
      undefined,
      undefined,
    ]);
  });

  test("does not say who deleted it", async () => {
    await using own = await HostingHere.open();
    await own.owned("myteam");
    const removed = await own.request("/v1/host/instances/myteam", { method: "DELETE", client: null });
    expect(removed.status).toBe(200);
    expect(await (await gone(own)).json()).toMatchObject({
      status: 410,
      detail: "the instance myteam was deleted",
      hint: `nobody gets its name again; begin another at ${own.base}/start`,
    });
  });
});

describe("sign-up", () => {
  test("by invitation takes one instance for one invitation, also of fifty at once", async () => {
    await withSettings({ signup: "invite" }, async (own) => {
      expect(await told(own.post("/v1/provision", { label: "myteam" }))).toEqual({
        status: 403,
        code: "forbidden",
      });
      const made = await own.post("/v1/host/invitations", {}, { client: null });
      expect(made.status).toBe(201);
      const { invitation } = (await made.json()) as { invitation: string };
      const all = await Promise.all(
        Array.from({ length: 50 }, (_, n) =>
          told(own.post("/v1/provision", { label: `team-${n}`, invitation }, { client: `192.0.2.${n}` })),
        ),
      );
      expect(all.filter(({ status }) => status === 202)).toHaveLength(1);
      expect(all.filter(({ code }) => code === "forbidden")).toHaveLength(49);
      for (const odd of ["", "x", "x".repeat(10_000)]) {
        expect(await told(own.post("/v1/provision", { label: "myteam", invitation: odd }))).toMatchObject({
          status: 403,
        });
      }
    });
  });

  test("that is closed takes nobody", async () => {
    await withSettings({ signup: "closed" }, async (own) => {
      expect(await told(own.post("/v1/provision", { label: "myteam", invitation: "x" }))).toEqual({
        status: 403,
        code: "forbidden",
      });
    });
  });
});

describe("an Idempotency-Key", () => {
  const HOUR = 60 * 60 * 1000;
  const ask = (
    own: HostingHere,
    key: string,
    wish: object = { label: "myteam" },
    init: { cookie?: string; client?: string } = {},
  ) => own.post("/v1/provision", wish, { ...init, headers: { "idempotency-key": key } });
  const key = `"${"0123456789abcdef".repeat(2)}"`;

  test("means the same instance for an hour, whoever asks, as long as the wish is the same", async () => {
    await using own = await HostingHere.open({ signup: "invite" });
    const made = await own.post("/v1/host/invitations", {}, { client: null });
    const { invitation } = (await made.json()) as { invitation: string };
    const wish = { label: "myteam", invitation };
    const first = await ask(own, key, wish);
    expect(first.status).toBe(202);
    const { id } = (await first.json()) as HostedView;
    await own.settled();
    own.now += HOUR;
    const again = await ask(own, key, wish);
    expect([again.status, again.headers.get("location")]).toEqual([202, `/v1/provision/${id}`]);
    expect(await again.json()).toMatchObject({ id, state: "ready" });
    const cookie = again.headers.get("set-cookie")!.split(";")[0]!;
    expect((await own.request(`/v1/provision/${id}`, { cookie })).status).toBe(200);
    // Who has the session already is given no other.
    expect((await ask(own, key, wish, { cookie })).headers.get("set-cookie")).toBeNull();

    const conflict = { status: 409, code: "conflict" };
    expect(await told(ask(own, key, { ...wish, label: "others" }))).toEqual(conflict);
    own.now += 1;
    expect(await told(ask(own, key, wish))).toEqual(conflict);
    expect(own.driver.volumes.size).toBe(1);
  });

  test("is nobody's way into another owner's session", async () => {
    await using own = await HostingHere.open();
    const { cookie } = await own.owned("mine");
    expect((await ask(own, key)).status).toBe(202);
    const other = await ask(own, key, { label: "myteam" }, { cookie });
    expect([other.status, other.headers.get("set-cookie")]).toEqual([409, null]);
    await own.settled();
    // Neither the key nor anything that leads to it is kept.
    expect(dumpOf(join(own.home.path, "host.db"))).not.toContain("0123456789abcdef");
  });

  test("of one that failed tells of its failure, and takes nothing", async () => {
    await using own = await HostingHere.open();
    own.driver.before = (step) => {
      if (step === "boot") throw new SplError("hosting_unavailable", "there is no machine left");
    };
    await ask(own, key);
    await own.settled();
    expect(await (await ask(own, key)).json()).toMatchObject({ state: "failed" });
    expect(await own.request("/v1/labels/myteam").then((answer) => answer.json())).toMatchObject({
      available: true,
    });
  });

  test.each(["", "x", '"short"', "0".repeat(32), `"${"x".repeat(101)}"`, `"${"x y ".repeat(8)}"`])(
    "that is %j is refused: it has to be one that nobody guesses",
    async (odd) => {
      await using own = await HostingHere.open();
      expect(await told(ask(own, odd))).toEqual({ status: 400, code: "invalid_request" });
    },
  );
});

describe("/start without script", () => {
  test.each([
    ["open", `-d '{"label":"myteam"}'`],
    ["invite", `-d '{"label":"myteam","invitation":"…"}'`],
    ["closed", null],
  ] as const)("says what to type where sign-up is %s", async (signup, body) => {
    await using own = await HostingHere.open({ signup });
    const page = await (await own.request("/start")).text();
    expect(/-d '[^']*'/.exec(page)?.[0] ?? null).toBe(body);
  });
});

describe("the one-shot link", () => {
  test("is revealed by one of fifty at once, and then says when", async () => {
    await using own = await HostingHere.open();
    const { view, cookie } = await own.owned("myteam");
    const path = new URL(view.first_run_url!).pathname;
    for (let i = 0; i < 3; i++)
      expect(await (await own.request(path)).text()).toContain("Your instance is ready");
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, n) => own.request(path, { method: "POST", client: `192.0.2.${n}` })),
    );
    const won = all.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);
    expect(all.filter(({ status }) => status === 409)).toHaveLength(49);
    const { token } = (await won[0]!.json()) as { token: string };
    const later = await (await own.request(path, { cookie })).text();
    expect(later).toContain("The token was shown");
    expect(later).not.toContain(token);
    expect(later).toContain("It works once, within an hour");
    // Whose answer was lost has lost the recovery code too.
    expect(later).toContain('can be made anew among <a href="/instances">');
    own.now += 3_600_001;
    expect(await (await own.request(path, { cookie })).text()).toContain("It worked once, within an hour");
  });

  test("whose token cannot be made is good as before", async () => {
    await using own = await HostingHere.open();
    const { view } = await own.owned("myteam");
    const path = new URL(view.first_run_url!).pathname;
    own.driver.before = (step) => {
      if (step === "mint") throw new Error("/secret/path");
    };
    const failed = await own.request(path, { method: "POST" });
    expect([failed.status, await failed.text()]).toEqual([500, expect.not.stringContaining("/secret/path")]);
    own.driver.before = () => undefined;
    expect((await own.request(path, { method: "POST" })).status).toBe(200);
  });

  test("that leads nowhere is told in one way, whatever it is", async () => {
    for (const secret of ["x", "x".repeat(5000), "%00", "..%2f..", "%0d%0aSet-Cookie:%20x"]) {
      for (const method of ["GET", "POST"]) {
        expect(await told(here.request(`/first-run/${secret}`, { method }))).toEqual({
          status: 404,
          code: "not_found",
        });
      }
    }
  });

  test("works from its own page without a session, not from a page of another site", async () => {
    await using own = await HostingHere.open();
    const path = new URL((await own.owned("myteam")).view.first_run_url!).pathname;
    const post = (headers: Record<string, string>) => own.request(path, { method: "POST", headers });
    expect((await post({ origin: "https://evil.com" })).status).toBe(403);
    expect((await post({ origin: "null", "sec-fetch-site": "cross-site" })).status).toBe(403);
    const page = await post({ origin: "null", "sec-fetch-site": "same-origin", accept: "text/html" });
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("Connect the CLI")]);
  });
});

describe("headers", () => {
  test("of every page: no store, no referrer, no frame, no script but ours", async () => {
    const link = new URL(bob.view.first_run_url!).pathname;
    for (const path of ["/start", "/instances", "/recover", link]) {
      const { headers } = await here.request(path);
      expect([path, headers.get("cache-control"), headers.get("referrer-policy")]).toEqual([
        path,
        "no-store",
        "no-referrer",
      ]);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("x-frame-options")).toBe("DENY");
      const policy = headers.get("content-security-policy")!;
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
    }
  });

  test("of every refusal: no store, no sniffing, and no script could run in it", async () => {
    const refusals = [
      here.request("/nothing<script>"),
      here.request("/health", { host: "evil.com" }),
      here.request("/health", { host: "nobody.hosting.example" }),
      here.request("/v1/provision", { method: "PATCH" }),
      here.request("/first-run/x", { headers: { accept: "*/*" } }),
      here.post("/v1/provision", { label: "<b>" }, { client: "192.0.2.77" }),
    ];
    for (const { headers } of await Promise.all(refusals)) {
      expect(headers.get("content-type")).toBe("application/problem+json");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
    }
  });
});

describe("a refusal that a browser opens", () => {
  const accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
  const open = (own: HostingHere, path: string, init: Parameters<HostingHere["request"]>[1] = {}) =>
    own.request(path, { ...init, headers: { accept } });

  test("is a page with the same words, and nothing of the request runs in it", async () => {
    await using own = await HostingHere.open();
    const [left, deleted] = [await own.owned("left-one"), await own.owned("deleted-one")];
    const gone = { without_bundle: true };
    await own.post(`/v1/provision/${left.view.id}/leave`, gone, { cookie: left.cookie });
    await own.post(`/v1/provision/${deleted.view.id}`, gone, { method: "DELETE", cookie: deleted.cookie });
    for (const [path, host, status, words] of [
      ["/first-run/mistyped", null, 404, "This link leads nowhere."],
      ["/nothing'\"&x", null, 404, "There is nothing at /nothing"],
      ["/", "nobody", 404, "There is no instance of that name here."],
      ["/", "left-one", 410, "The instance left-one has left"],
      ["/", "deleted-one", 410, "The instance deleted-one was deleted."],
    ] as const) {
      const at = host === null ? {} : { host: `${host}.hosting.example` };
      const page = await open(own, path, at);
      const text = await page.text();
      expect([path, page.status, page.headers.get("content-type")]).toEqual([
        path,
        status,
        "text/html; charset=utf-8",
      ]);
      expect(text).toContain(words);
      expect(text).toContain(`<a href="${own.base}/start">`);
      expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
      expect([page.headers.get("cache-control"), page.headers.get("x-content-type-options")]).toEqual([
        "no-store",
        "nosniff",
      ]);
    }
    const odd = await (await open(own, "/%3Cb%3E<i>'\"")).text();
    expect(odd).not.toMatch(/<b>|<i>/);
  });

  test("of the button on a first-run page says that it may be pressed again", async () => {
    await using own = await HostingHere.open();
    const path = new URL((await own.owned("myteam")).view.first_run_url!).pathname;
    own.driver.before = (step) => {
      if (step === "mint")
        throw new SplError("hosting_unavailable", "the instance makes no bootstrap token", {
          hint: "try again",
        });
    };
    const refused = await open(own, path, { method: "POST" });
    expect([refused.status, await refused.text()]).toEqual([
      503,
      expect.stringContaining("<p>The instance makes no bootstrap token.</p>\n<p>Try again.</p>"),
    ]);
  });

  test("of the instance itself is what the instance sends", async () => {
    here.driver.answer = () =>
      Response.json(
        { code: "not_found" },
        { status: 404, headers: { "content-type": "application/problem+json" } },
      );
    const response = await open(here, "/nothing", { host: "alices.hosting.example" });
    here.driver.answer = (seen) => Response.json(seen);
    expect([response.status, await response.json()]).toEqual([404, { code: "not_found" }]);
  });
});

describe("an instance behind the service's own name", () => {
  const under = (path: string, init: Parameters<HostingHere["request"]>[1] = {}) =>
    here.request(`/i/alices${path}`, { cookie: alice.cookie, ...init });

  test("gets its API requests, without cookies, and what is forwarded is our word", async () => {
    const headers = {
      authorization: "Bearer t",
      "x-forwarded-for": "6.6.6.6",
      "x-forwarded-prefix": "/evil",
      forwarded: "for=6.6.6.6",
      "x-real-ip": "6.6.6.6",
      origin: "https://elsewhere.example",
    };
    const response = await under("/v1/records?q=a%2fb&x=1", { method: "POST", body: "hello", headers });
    expect(response.status).toBe(200);
    const [seen] = here.driver.seen;
    expect(seen).toMatchObject({ method: "POST", path: "/v1/records?q=a%2fb&x=1", body: "hello" });
    expect(seen!.headers).toMatchObject({
      authorization: "Bearer t",
      host: "alices.hosting.example:9200",
      "x-forwarded-for": "192.0.2.1",
    });
    for (const name of ["cookie", "forwarded", "x-real-ip", "x-forwarded-prefix"]) {
      expect(seen!.headers).not.toHaveProperty(name);
    }
  });

  test("gives back no cookie and nothing that a browser would run", async () => {
    here.driver.answer = () =>
      new Response("<script>alert(document.cookie)</script>", {
        headers: {
          "content-type": "text/html",
          "set-cookie": "spl_owner=tossed; Path=/",
          "clear-site-data": '"*"',
          "service-worker-allowed": "/",
        },
      });
    const { headers, status } = await under("/v1/anything");
    here.driver.answer = (seen) => Response.json(seen);
    for (const name of ["set-cookie", "clear-site-data", "service-worker-allowed"]) {
      expect([name, headers.get(name)]).toEqual([name, null]);
    }
    expect(headers.get("content-security-policy")).toContain("sandbox");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect([status, headers.get("content-type")]).toEqual([200, "text/plain"]);
  });

  test("serves no page, and its prefix is not left", async () => {
    const pages = [
      "",
      "/",
      "/pair",
      "/bundle",
      "/console",
      "//v1/x",
      "/v1",
      "/start",
      "/%76%31x/",
      "/healthy",
    ];
    for (const path of pages) expect([path, (await under(path)).status]).toEqual([path, 404]);
    expect(here.driver.seen).toEqual([]);
    const climbs = [
      "/v1/../../start",
      "/v1/%2e%2e/%2e%2e/start",
      "/../bobs-one/v1/status",
      "/v1/..%2f..%2fpair",
      "/v1/..\\..\\pair",
    ];
    for (const path of climbs) await under(path);
    for (const { path, headers } of here.driver.seen) {
      expect([path, headers.host, path.startsWith("/v1/")]).toEqual([path, headers.host!, true]);
      expect(headers).not.toHaveProperty("cookie");
    }
  });

  test("has its cookies on a name of its own, where ours is not sent by a browser", async () => {
    const response = await here.request("/pair", { host: "alices.hosting.example", cookie: "own=1" });
    expect(response.status).toBe(200);
    expect(here.driver.seen[0]).toMatchObject({ path: "/pair", headers: { cookie: "own=1" } });
  });
});

describe("calls of one address", () => {
  const asks = async (own: HostingHere, n: number, client: (i: number) => string) => {
    const statuses = [];
    for (let i = 0; i < n; i++) {
      statuses.push((await own.post("/v1/recover", { code: "x" }, { client: client(i) })).status);
    }
    return statuses;
  };

  test("are limited, until the window is over; others are not", async () => {
    await using own = await HostingHere.open();
    expect(await asks(own, 11, () => "192.0.2.1")).toEqual([...new Array(10).fill(401), 429]);
    const refused = await own.post("/v1/recover", { code: "x" });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await asks(own, 1, () => "192.0.2.2")).toEqual([401]);
    own.now += 600_000;
    expect(await asks(own, 1, () => "192.0.2.1")).toEqual([401]);
  });

  test("of IPv6 are those of its /64, which one customer has", async () => {
    await using own = await HostingHere.open();
    const statuses = await asks(own, 11, (i) => `2001:db8:1:2:${i}::1`);
    expect(statuses).toEqual([...new Array(10).fill(401), 429]);
    expect(await asks(own, 1, () => "2001:db8:1:3::1")).toEqual([401]);
    // The same IPv4 address, by a socket that takes both.
    expect(await asks(own, 11, (i) => (i % 2 ? "192.0.2.7" : "::ffff:192.0.2.7"))).toEqual([
      ...new Array(10).fill(401),
      429,
    ]);
  });

  test("to the directory are those of the DID where that is known, since a machine's instances have one address", async () => {
    await using own = await HostingHere.open();
    const put = async (n: number, client = "127.0.0.1") => {
      const statement = statementOf({ epoch: ++own.now }, testSigner(n));
      const path = `/directory/${encodeURIComponent(statement.did)}`;
      const headers = { "content-type": "application/json" };
      const answer = await own.request(path, {
        method: "PUT",
        headers,
        body: JSON.stringify(statement),
        client,
      });
      return answer.status;
    };
    const many = async (from: number, to: number, client?: string) => {
      const statuses = [];
      for (let n = from; n < to; n++) statuses.push(await put(n, client));
      return statuses;
    };
    own.now = 60_000 * Math.ceil(own.now / 60_000);
    // Anyone could think up new ones.
    expect(await many(1, 66)).toEqual([...new Array(60).fill(200), ...new Array(5).fill(429)]);
    own.now += 60_000;
    expect(await many(61, 101)).toEqual(new Array(40).fill(200));
    own.now += 60_000;
    expect(await many(1, 101)).toEqual(new Array(100).fill(200));
    const statuses = [];
    for (let i = 0; i < 60; i++) statuses.push(await put(7));
    expect(statuses).toEqual([...new Array(59).fill(200), 429]);
    expect([await put(8), await put(7, "192.0.2.7"), await put(200)]).toEqual([200, 200, 200]);
  });

  test("of who runs the service are not", async () => {
    await using own = await HostingHere.open();
    for (let i = 0; i < 12; i++) {
      expect((await own.post("/v1/recover", { code: "x" }, { client: null })).status).toBe(401);
    }
  });
});

test("no secret is in the database, the log, or an answer that is not for its owner", async () => {
  await using own = await HostingHere.open();
  const { view, cookie } = await own.owned("myteam");
  const link = new URL(view.first_run_url!).pathname;
  const revealed = await own.request(link, { method: "POST" });
  const { token, recovery_code } = (await revealed.json()) as { token: string; recovery_code: string };
  const secrets = [token, recovery_code, link.split("/").at(-1)!, cookie.split("=")[1]!];
  own.driver.before = () => {
    throw new Error("broken");
  };
  await own.request(link, { method: "POST" });
  await own.post(`/v1/provision/${view.id}/regenerate`, {}, { cookie });
  const listed = await own.request("/v1/host/instances/myteam", { client: null });
  const places = [dumpOf(join(own.home.path, "host.db")), own.logged.join("\n"), await listed.text()];
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(10);
    for (const place of places) expect(place).not.toContain(secret);
  }
});
