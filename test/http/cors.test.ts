import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ROUTES } from "../../server/routes/index.ts";
import { Served } from "../kit/served.ts";

/** Which pages of a browser may call, and what they may read. The instance lets everyone on this machine do anything. */

const CONSOLE = "https://console.example";
let served: Served;
beforeAll(async () => {
  served = await Served.start({ insecureLocalhost: true }, `allowed_origins = ["${CONSOLE}"]\n`);
});
afterAll(() => served[Symbol.asyncDispose]());

function call(path: string, origin: string, init: RequestInit = {}): Promise<Response> {
  return served.tcp(path, { ...init, headers: { ...(init.headers as object), origin } });
}

function preflight(path: string, origin: string, method = "POST"): Promise<Response> {
  return call(path, origin, { method: "OPTIONS", headers: { "access-control-request-method": method } });
}

function corsOf({ headers }: Response): [string, string][] {
  return [...headers].filter(([name]) => name.startsWith("access-control-"));
}

/** A path of the route, with something in place of its parameters. */
function pathOf(path: string): string {
  return path.replace(/:\w+/g, "th_x");
}

const paths = [...new Set(ROUTES.map((route) => route.path))];

describe("an allowed origin", () => {
  test("may ask with every method that a path has, and gets no further without a token of its own", async () => {
    for (const path of paths) {
      const answer = await preflight(pathOf(path), CONSOLE);
      const methods = ROUTES.filter((route) => route.path === path).map((route) => route.method);
      expect([path, answer.status]).toEqual([path, 204]);
      expect(answer.headers.get("access-control-allow-origin")).toBe(CONSOLE);
      expect(answer.headers.get("vary")).toBe("Origin");
      const allowed = answer.headers.get("access-control-allow-methods")!.split(", ");
      expect(allowed.filter((method) => method !== "HEAD").sort()).toEqual(methods.sort());
      expect(answer.headers.get("access-control-allow-headers")).toBe(
        "authorization, content-type, x-syncropel-actor",
      );
      expect(answer.headers.has("access-control-allow-credentials")).toBe(false);
      expect(await answer.text()).toBe("");
    }
  });

  test("reads answers and refusals", async () => {
    const answers: [Response, number][] = [
      [await call("/v1/status", CONSOLE), 200],
      [await call("/v1/status", CONSOLE, { method: "HEAD" }), 200],
      [await call("/v1/nope", CONSOLE), 404],
      [await preflight("/v1/nope", CONSOLE), 404],
      [await call("/v1/status", CONSOLE, { method: "PUT" }), 405],
      [await call("/v1/status", CONSOLE, { method: "OPTIONS" }), 405],
      [await call("/v1/records", CONSOLE, { method: "POST", body: "{}" }), 415],
      [await call("/v1/threads/th_none", CONSOLE), 404],
      [await call("/v1/tokens/tok_000000000000", CONSOLE, { method: "DELETE" }), 404],
    ];
    for (const [answer, status] of answers) {
      expect(answer.status).toBe(status);
      expect(answer.headers.get("access-control-allow-origin")).toBe(CONSOLE);
      expect(answer.headers.get("access-control-expose-headers")).toBe(
        "allow, location, retry-after, www-authenticate",
      );
      expect(answer.headers.get("vary")).toBe("Origin");
      expect(answer.headers.has("access-control-allow-credentials")).toBe(false);
    }
  });

  test("reads a stream", async () => {
    const headers = { accept: "application/x-ndjson" };
    const answer = await call("/v1/records", CONSOLE, { headers });
    expect(answer.headers.get("access-control-allow-origin")).toBe(CONSOLE);
    expect(await answer.text()).toBe("");
  });

  test("is still asked for a token", async () => {
    await using closed = await Served.start({}, `allowed_origins = ["${CONSOLE}"]\n`);
    const answer = await closed.tcp("/v1/status", { headers: { origin: CONSOLE } });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("access-control-allow-origin")).toBe(CONSOLE);
  });
});

describe("any other origin", () => {
  const foreign = [
    "https://evil.example",
    "null",
    "http://console.example",
    "https://console.example:8443",
    "https://console.example.evil.example",
    "https://evil-console.example",
    "HTTPS://CONSOLE.EXAMPLE",
    "https://console.example/",
    "*",
  ];

  test("is refused, in a preflight too, and reads nothing", async () => {
    for (const origin of foreign) {
      for (const answer of [
        await call("/v1/status", origin),
        await call("/health", origin),
        await preflight("/v1/records", origin),
        await call("/v1/tokens", origin, { method: "POST", body: "{}" }),
        await call("/v1/tokens/tok_000000000000", origin, { method: "DELETE" }),
      ]) {
        expect([origin, answer.status]).toEqual([origin, 403]);
        expect(corsOf(answer)).toEqual([]);
      }
    }
  });

  test("without an Origin there is nothing to allow", async () => {
    const answer = await served.tcp("/v1/status");
    expect([answer.status, corsOf(answer)]).toEqual([200, []]);
    const asked = await served.tcp("/v1/status", { method: "OPTIONS" });
    expect([asked.status, corsOf(asked)]).toEqual([405, []]);
  });
});

test("the pages of the public URL are our own", async () => {
  await using known = await Served.start({ publicUrl: "https://box.example.com/spl" });
  const answer = await known.tcp("/health", { headers: { origin: "https://box.example.com" } });
  expect(answer.status).toBe(200);
});

test("settings that would never match are refused by name", async () => {
  const wrong: [string, string][] = [
    ['allowed_origins = ["*"]', "allowed_origins"],
    ['allowed_origins = ["null"]', "allowed_origins"],
    ['allowed_origins = ["https://console.example/"]', "https://console.example/"],
    ['allowed_origins = ["console.example"]', "no origin"],
    ['allowed_origins = ["https://console.example:443"]', "no origin"],
    ['allowed_origins = "https://console.example"', "allowed_origins"],
    ['allowed_hosts = ["https://box.lan"]', "no host name"],
    ['allowed_hosts = ["box.lan:9100"]', "no host name"],
    ['allowed_hosts = ["*"]', "no host name"],
    ['allowed_hosts = [""]', "no host name"],
    ['[tls]\ncert = "a.pem"', "tls.key"],
  ];
  for (const [config, message] of wrong) {
    await expect(Served.start({}, `${config}\n`)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining(message),
    });
  }
});

describe("what a form of a foreign page could send", () => {
  const writes = ROUTES.filter((route) => route.bodies);

  test("no route takes a body of a type that needs no preflight, or of none", async () => {
    expect(writes.length).toBeGreaterThan(2);
    const types = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""];
    for (const { method, path } of writes) {
      for (const type of types) {
        const body = new TextEncoder().encode('{"account":"x","scopes":["admin"]}');
        const headers: Record<string, string> = type === "" ? {} : { "content-type": type };
        const answer = await served.tcp(pathOf(path), { method, headers, body });
        expect([method, path, type, answer.status]).toEqual([method, path, type, 415]);
      }
    }
  });

  test("no cookie signs in, and none is set", async () => {
    await using closed = await Served.start();
    for (const { method, path, scope } of ROUTES) {
      const headers = { cookie: `token=x; authorization=Bearer x`, "content-type": "application/json" };
      const body = method === "GET" || method === "DELETE" ? {} : { body: "{}" };
      const answer = await closed.tcp(pathOf(path), { method, headers, ...body });
      await answer.body?.cancel();
      expect([method, path, answer.headers.getSetCookie()]).toEqual([method, path, []]);
      const open = scope === null || answer.status === 415;
      if (!open) expect([method, path, answer.status]).toEqual([method, path, 401]);
    }
  });
});
