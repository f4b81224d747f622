import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { SplError } from "../../../lib/base/errors.ts";
import { type AddressPolicy, parseNetworks } from "../../../lib/federation/addresses.ts";
import {
  type BodyBounds,
  readWhole,
  type SafeFetchOptions,
  type SafeRequest,
  safeFetch,
} from "../../../lib/federation/safe_fetch.ts";
import { Authority } from "../../kit/certificates.ts";
import { runCommand } from "../../kit/spl.ts";
import { ScratchFolder } from "../../kit/store.ts";

const LOOPBACK: AddressPolicy = { networks: [], loopback: true };
const GENEROUS: BodyBounds = { most: 1024 * 1024, idleMs: 5000, totalMs: 5000 };
const MIB = 1024 * 1024;

/** What the server was asked last. */
let asked: Request | null = null;
let server: ReturnType<typeof Bun.serve>;
const endless = () =>
  new Response(
    new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024)),
    }),
  );

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      asked = request;
      const { pathname } = new URL(request.url);
      if (pathname.startsWith("/redirect/"))
        return new Response(null, { status: Number(pathname.slice(10)), headers: { location: "/plain" } });
      if (pathname === "/gzip")
        return new Response(gzipSync(new Uint8Array(MIB)), { headers: { "content-encoding": "gzip" } });
      if (pathname === "/endless") return endless();
      if (pathname === "/echo") return new Response(request.body, { status: 201 });
      if (pathname === "/problem") return new Response("no", { status: 403 });
      return new Response("plain");
    },
  });
});
afterAll(() => server.stop(true));

const at = (path: string) => `http://127.0.0.1:${server.port}${path}`;
const get = (url: string, options: Partial<SafeFetchOptions> = {}, request: Partial<SafeRequest> = {}) =>
  safeFetch(url, { method: "GET", ...request }, { policy: LOOPBACK, ...options });
const textOf = async (url: string, options: Partial<SafeFetchOptions> = {}) =>
  new TextDecoder().decode(await readWhole(await get(url, options), GENEROUS));

async function refusalOf(promise: Promise<unknown>): Promise<SplError> {
  return (await promise.then(
    () => new Error("it was answered"),
    (thrown) => thrown,
  )) as SplError;
}

/** A server that says exactly these bytes, each part when the one before has been sent, and never hangs up. */
async function raw(...parts: string[]): Promise<Disposable & { url: string }> {
  const sockets = new Set<Socket>();
  const tcp: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("data", () => {
      for (const part of parts) socket.write(part);
    });
  });
  await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
  const { port } = tcp.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/`,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      tcp.close();
    },
  };
}

describe("an ordinary answer", () => {
  test("comes with status, headers and body", async () => {
    expect(await textOf(at("/plain"))).toBe("plain");
    const refused = await get(at("/problem"));
    expect(refused.status).toBe(403);
    expect(new TextDecoder().decode(await readWhole(refused, GENEROUS))).toBe("no");
  });

  test("a body is sent, and nothing compressed is asked for", async () => {
    const body = new Uint8Array(300_000).fill(7);
    const answer = await get(at("/echo"), {}, { method: "POST", body, headers: new Headers({ "x-a": "b" }) });
    expect(answer.status).toBe(201);
    expect(await readWhole(answer, GENEROUS)).toEqual(body);
    expect(asked!.headers.get("x-a")).toBe("b");
    expect(asked!.headers.get("accept-encoding")).toBe("identity");
  });

  test("the address that was checked is the one that is asked, under the name of the URL", async () => {
    let questions = 0;
    const resolve = async () => {
      questions++;
      return ["127.0.0.1"];
    };
    expect(await textOf(`http://peer.example:${server.port}/plain`, { resolve })).toBe("plain");
    expect(new URL(asked!.url).host).toBe(`peer.example:${server.port}`);
    expect(questions).toBe(1);
  });

  test("over IPv6", async () => {
    await using six = Bun.serve({
      port: 0,
      hostname: "::1",
      fetch: (request) => new Response(request.headers.get("host")),
    });
    expect(await textOf(`http://[::1]:${six.port}/`)).toBe(`[::1]:${six.port}`);
    const resolve = async () => ["::1"];
    expect(await textOf(`http://six.example:${six.port}/`, { resolve })).toBe(`six.example:${six.port}`);
  });
});

describe("before anything is dialled", () => {
  const strict = { policy: { networks: [], loopback: false } };

  test("a name with one address that is not public is refused whole", async () => {
    for (const addresses of [
      ["93.184.216.34", "127.0.0.1"],
      ["10.0.0.1", "93.184.216.34"],
      ["2606:4700::1", "fd00::1"],
    ]) {
      const error = await refusalOf(
        get("http://mixed.example/", { ...strict, resolve: async () => addresses }),
      );
      expect(error.code).toBe("address_refused");
      expect(error.hint).toContain("federation.allow_networks");
    }
  });

  test("the refusal names the address", async () => {
    asked = null;
    const error = await refusalOf(get(at("/plain"), strict));
    expect(error.message).toBe(`http://127.0.0.1:${server.port} is at 127.0.0.1, which is no public address`);
    expect(error.detail).toEqual({ address: "127.0.0.1" });
    expect(asked).toBeNull();
  });

  test.each([
    "file:///etc/passwd",
    "ftp://a.example/",
    "data:,a",
    "http://u@a.example/",
    "http://u:p@a.example/",
    "a",
  ])("%s is refused", async (url) => expect((await refusalOf(get(url))).code).toBe("address_refused"));

  test("a name without an address, or unknown", async () => {
    const none = await refusalOf(get("http://none.example/", { resolve: async () => [] }));
    expect(none).toMatchObject({ code: "peer_unreachable", message: expect.stringContaining("no address") });
    const unknown = await refusalOf(
      get("http://x.example/", { resolve: async () => Promise.reject(new Error()) }),
    );
    expect(unknown).toMatchObject({ code: "peer_unreachable", message: expect.stringContaining("unknown") });
  });
});

describe("answers that are not taken", () => {
  test.each([301, 302, 303, 307, 308])("a redirect of status %d is not followed", async (status) => {
    const error = await refusalOf(get(at(`/redirect/${status}`)));
    expect(error).toMatchObject({ code: "peer_misbehaves", message: expect.stringContaining("redirect") });
    expect(new URL(asked!.url).pathname).toBe(`/redirect/${status}`);
  });

  test("a compressed body", async () => {
    const error = await refusalOf(get(at("/gzip")));
    expect(error).toMatchObject({ code: "peer_misbehaves", message: expect.stringContaining("as gzip") });
  });

  test("a body without end stops at its bound", async () => {
    const answer = await get(at("/endless"));
    let taken = 0;
    const error = await refusalOf(
      (async () => {
        for await (const chunk of answer.chunks({ ...GENEROUS, most: MIB })) taken += chunk.length;
      })(),
    );
    expect(error).toMatchObject({
      code: "peer_misbehaves",
      message: expect.stringContaining(`${MIB} bytes`),
    });
    expect(taken).toBeLessThanOrEqual(MIB);
  });

  test("a body of exactly the bound is taken", async () => {
    const answer = await get(at("/plain"));
    expect((await readWhole(answer, { ...GENEROUS, most: 5 })).length).toBe(5);
    const more = await get(at("/plain"));
    expect((await refusalOf(readWhole(more, { ...GENEROUS, most: 4 }))).code).toBe("peer_misbehaves");
  });

  test("what is no HTTP", async () => {
    using wrong = await raw("SSH-2.0-x\r\n\r\n");
    expect((await refusalOf(get(wrong.url, { headMs: 2000 }))).code).toBe("peer_unreachable");
  });
});

describe("answers that take too long", () => {
  test("a head that does not come", async () => {
    using silent = await raw();
    const error = await refusalOf(get(silent.url, { headMs: 50 }));
    expect(error).toMatchObject({
      code: "peer_unreachable",
      message: expect.stringContaining("no answer within"),
    });
  });

  test("a head that comes in part", async () => {
    using slow = await raw("HTTP/1.1 200 OK\r\nx-a: ");
    expect((await refusalOf(get(slow.url, { headMs: 50 }))).code).toBe("peer_unreachable");
  });

  test("a body that falls silent", async () => {
    using silent = await raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
    const error = await refusalOf(readWhole(await get(silent.url), { ...GENEROUS, idleMs: 50 }));
    expect(error).toMatchObject({ code: "peer_unreachable", message: expect.stringContaining("too slowly") });
  });

  test("a body that drips", async () => {
    await using dripping = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              await Bun.sleep(5);
              controller.enqueue(new Uint8Array(1));
            },
          }),
        ),
    });
    const answer = await get(`http://127.0.0.1:${dripping.port}/`);
    const error = await refusalOf(readWhole(answer, { ...GENEROUS, totalMs: 100 }));
    expect(error).toMatchObject({ code: "peer_unreachable", message: expect.stringContaining("too slowly") });
  });

  test("nobody listens", async () => {
    const gone = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const { port } = gone;
    await gone.stop(true);
    expect((await refusalOf(get(`http://127.0.0.1:${port}/`))).message).toBe(
      `cannot reach http://127.0.0.1:${port}: connection refused`,
    );
  });

  test("a connection that breaks in the body", async () => {
    const tcp = createServer((socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"));
    });
    await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
    const { port } = tcp.address() as { port: number };
    const reading = get(`http://127.0.0.1:${port}/`).then((answer) => readWhole(answer, GENEROUS));
    expect((await refusalOf(reading)).code).toBe("peer_unreachable");
    tcp.close();
  });
});

describe("the caller's signal", () => {
  test("ends a request whose head has not come", async () => {
    using silent = await raw();
    const abort = new AbortController();
    const asking = refusalOf(get(silent.url, {}, { signal: abort.signal }));
    abort.abort(new Error("enough"));
    expect((await asking).message).toBe("enough");
  });

  test("ends a body, with its own reason", async () => {
    const abort = new AbortController();
    using silent = await raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
    const answer = await get(silent.url, {}, { signal: abort.signal });
    const error = await refusalOf(
      (async () => {
        for await (const _ of answer.chunks(GENEROUS)) abort.abort(new Error("enough"));
      })(),
    );
    expect(error.message).toBe("enough");
  });
});

describe("https", () => {
  const files = new ScratchFolder();
  let authority: Authority;
  beforeAll(async () => {
    authority = await Authority.make(files.path);
  });
  afterAll(() => files[Symbol.dispose]());

  /** What `safeFetch` says in a process that trusts the authority, as an instance would. */
  async function told(url: string, { trusting = true, address = "127.0.0.1" } = {}): Promise<string> {
    const source = `
      const { readWhole, safeFetch } = await import(${JSON.stringify(join(import.meta.dir, "../../../lib/federation/safe_fetch.ts"))});
      const options = { policy: { networks: [], loopback: true }, resolve: async () => [${JSON.stringify(address)}] };
      try {
        const answer = await safeFetch(${JSON.stringify(url)}, { method: "GET" }, options);
        const body = await readWhole(answer, { most: 1000, idleMs: 5000, totalMs: 5000 });
        console.log(new TextDecoder().decode(body));
      } catch (error) {
        console.log(error.code + " " + error.message);
      }`;
    const env = { PATH: process.env.PATH!, ...(trusting && { NODE_EXTRA_CA_CERTS: authority.cert }) };
    const done = await runCommand([process.execPath, "-e", source], { env });
    expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: "" });
    return done.stdout.trim();
  }

  async function serving(san: string, hostname = "127.0.0.1", days = 10) {
    const { cert, key } = await authority.issue(`c${Bun.hash(san + days)}`, { san, days });
    return Bun.serve({
      port: 0,
      hostname,
      tls: { cert: Bun.file(cert), key: Bun.file(key) },
      fetch: (request) => new Response(`hello ${request.headers.get("host")}`),
    });
  }

  test("the certificate must be for the name of the URL, not for the address", async () => {
    await using named = await serving("DNS:peer.example");
    const url = `https://peer.example:${named.port}/`;
    expect(await told(url)).toBe(`hello peer.example:${named.port}`);
    expect(await told(`https://other.example:${named.port}/`)).toStartWith("peer_unreachable");
    await using addressed = await serving("IP:127.0.0.1");
    expect(await told(`https://peer.example:${addressed.port}/`)).toStartWith("peer_unreachable");
  });

  test("an address in the URL is looked for in the certificate", async () => {
    await using four = await serving("IP:127.0.0.1");
    expect(await told(`https://127.0.0.1:${four.port}/`)).toBe(`hello 127.0.0.1:${four.port}`);
    await using six = await serving("IP:::1", "::1");
    expect(await told(`https://[::1]:${six.port}/`)).toBe(`hello [::1]:${six.port}`);
    await using named = await serving("DNS:peer.example");
    expect(await told(`https://127.0.0.1:${named.port}/`)).toStartWith("peer_unreachable");
  });

  test("nobody's certificate, and one that has expired", async () => {
    await using named = await serving("DNS:peer.example");
    expect(await told(`https://peer.example:${named.port}/`, { trusting: false })).toStartWith(
      "peer_unreachable",
    );
    await using expired = await serving("DNS:peer.example", "127.0.0.1", -1);
    expect(await told(`https://peer.example:${expired.port}/`)).toStartWith("peer_unreachable");
  });
});

test("a resolver that never answers is waited for no longer than an answer, and no longer than the caller", async () => {
  const resolve = () => new Promise<string[]>(() => undefined);
  const late = await refusalOf(get("http://peer.example/", { resolve, headMs: 20 }));
  expect([late.code, late.message]).toEqual([
    "peer_unreachable",
    "cannot reach http://peer.example: no answer within 0.02 seconds",
  ]);
  const stop = new AbortController();
  const asked = get("http://peer.example/", { resolve }, { signal: stop.signal });
  stop.abort(new Error("stopped"));
  await expect(asked).rejects.toThrow("stopped");
});

test("names under .localhost are this machine, as far as loopback may be dialled", async () => {
  for (const host of ["localhost", "desk.localhost", "a.desk.localhost", "desk.localhost."])
    expect(await textOf(`http://${host}:${server.port}/plain`)).toBe("plain");
  // A home that allows this one network needs no other.
  const network = { networks: parseNetworks(["127.0.0.0/8"]), loopback: false };
  expect(await textOf(`http://desk.localhost:${server.port}/plain`, { policy: network })).toBe("plain");
  const policy = { networks: [], loopback: false };
  const refused = await refusalOf(get(`http://desk.localhost:${server.port}/plain`, { policy }));
  expect([refused.code, refused.detail?.address]).toEqual(["address_refused", "127.0.0.1"]);
});
