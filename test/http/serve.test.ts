import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { homePaths } from "../../lib/base/home.ts";
import { type ServeOptions, serve } from "../../server/serve.ts";
import { emission, ndjsonOf } from "../kit/app.ts";
import { Served } from "../kit/served.ts";
import { ScratchFolder } from "../kit/store.ts";

/** `serve` on real sockets, in this process. */

const json = { "content-type": "application/json" };

let shared: Served;
let token: string;
beforeAll(async () => {
  shared = await Served.start();
  const minted = await shared.unix("/v1/tokens", {
    method: "POST",
    headers: json,
    body: JSON.stringify({ account: "test", scopes: ["records:read", "records:write"] }),
  });
  token = ((await minted.json()) as { token: string }).token;
});
afterAll(() => shared[Symbol.asyncDispose]());

test("the socket is open to its owner, the port asks for a token", async () => {
  expect((await shared.unix("/v1/status")).status).toBe(200);
  const refused = await shared.tcp("/v1/status");
  expect(refused.status).toBe(401);
  expect(refused.headers.get("www-authenticate")).toStartWith("Bearer");
  const headers = { authorization: `Bearer ${token}` };
  expect(await (await shared.tcp("/v1/status", { headers })).json()).toMatchObject({
    url: `http://127.0.0.1:${shared.running.port}`,
    pid: process.pid,
    instance_did: shared.running.instance_did,
  });
  expect(statSync(shared.paths.run).mode & 0o777).toBe(0o700);
  expect(statSync(shared.paths.socket).mode & 0o077).toBe(0);
});

test("whatever a client puts on the wire, it gets an answer that is none of ours to fear", async () => {
  const port = shared.running.port;
  const close = "Connection: close\r\n\r\n";
  const answers: [string, RegExp][] = [
    [`GET /health HTTP/1.1\r\nHost: localhost:${port}\r\n${close}`, /^HTTP\/1\.1 200 /],
    [`GET /health HTTP/1.1\r\nHost: rebound.example:${port}\r\n${close}`, /^HTTP\/1\.1 403 /],
    [`GET /health HTTP/1.1\r\nHost: localhost\r\nHost: rebound.example\r\n${close}`, /^HTTP\/1\.1 403 /],
    [`GET /health HTTP/1.1\r\n${close}`, /^HTTP\/1\.1 400 /],
    ["GET /health HTTP/1.0\r\n\r\n", /^HTTP\/1\.1 400 /],
    [`GET /health HTTP/1.1\r\nHost: lo cal\r\n${close}`, /^HTTP\/1\.1 (400|403) /],
    [`GET http://rebound.example/health HTTP/1.1\r\nHost: localhost\r\n${close}`, /^HTTP\/1\.1 (200|403) /],
    [`GET //rebound.example/health HTTP/1.1\r\nHost: localhost\r\n${close}`, /^HTTP\/1\.1 404 /],
    [`GET /v1/%2e%2e/v1/status HTTP/1.1\r\nHost: localhost\r\n${close}`, /^HTTP\/1\.1 401 /],
    [`GET /v1\\status HTTP/1.1\r\nHost: localhost\r\n${close}`, /^HTTP\/1\.1 401 /],
    [`TRACE /health HTTP/1.1\r\nHost: localhost\r\n${close}`, /^HTTP\/1\.1 405 /],
    [`HEAD /health HTTP/1.1\r\nHost: localhost\r\n${close}`, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n$/],
    [
      `POST /v1/records HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n${close}0\r\n\r\n`,
      /^HTTP\/1\.1 400 /,
    ],
  ];
  for (const [request, expected] of answers) {
    const answer = await shared.raw(request);
    expect({ request, answer }).toEqual({ request, answer: expect.stringMatching(expected) });
    expect(answer).not.toContain(".ts:");
  }
});

test("a client that sends everything before it listens still gets its refusal", async () => {
  const headers = { ...json, authorization: `Bearer ${token}` };
  const body = `${JSON.stringify(emission("th_a", "x")).slice(0, -1)},"pad":"${"x".repeat(20_000_000)}"}`;
  const refused = await shared.tcp("/v1/records", { method: "POST", headers, body });
  expect(refused.status).toBe(413);
  const unsigned = await shared.tcp("/v1/import", {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: new Uint8Array(30_000_000),
  });
  expect(unsigned.status).toBe(401);
  expect((await shared.tcp("/health")).status).toBe(200);
});

test("a second daemon of the same home is refused by name", async () => {
  const second = serve({ home: shared.running.home, port: 0 });
  await expect(second).rejects.toMatchObject({
    code: "daemon_running",
    message: expect.stringContaining(`pid ${process.pid}, http://127.0.0.1:${shared.running.port}`),
  });
  expect((await shared.unix("/health")).status).toBe(200);
});

test("a port in use is said with what to do, and leaves the home free", async () => {
  using folder = new ScratchFolder();
  const home = folder.file("home");
  const taken = serve({ home, port: shared.running.port });
  await expect(taken).rejects.toMatchObject({ code: "port_in_use", hint: expect.stringContaining("--port") });
  const running = await serve({ home, port: 0 });
  await running.stop();
});

test("what a killed daemon leaves behind is no obstacle", async () => {
  using folder = new ScratchFolder();
  const home = folder.file("home");
  const paths = homePaths(home);
  mkdirSync(paths.run, { recursive: true });
  writeFileSync(paths.socket, "");
  writeFileSync(paths.daemon, JSON.stringify({ pid: 1, url: "http://127.0.0.1:1", port: 1, started_at: 0 }));
  writeFileSync(join(paths.run, "import-dead"), "half a bundle");
  const running = await serve({ home, port: 0 });
  try {
    const health = await fetch("http://localhost/health", { unix: paths.socket });
    expect(health.status).toBe(200);
    expect(JSON.parse(readFileSync(paths.daemon, "utf8"))).toMatchObject({
      pid: process.pid,
      port: running.port,
    });
    expect(existsSync(join(paths.run, "import-dead"))).toBe(false);
  } finally {
    await running.stop();
  }
});

test("stopping ends what follows, lets running requests end, and leaves nothing but the lock", async () => {
  await using served = await Served.start();
  const follow = await served.unix("/v1/records?follow=true", {
    headers: { accept: "application/x-ndjson" },
  });
  const pipe = new TransformStream<Uint8Array, Uint8Array>();
  const writer = pipe.writable.getWriter();
  const emitting = served.unix("/v1/records", {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: pipe.readable,
  });
  const lines = ndjsonOf(Array.from({ length: 1000 }, (_, i) => emission("th_a", `record ${i}`)));
  await writer.write(new TextEncoder().encode(lines));
  const reader = follow.body!.getReader();
  const decoder = new TextDecoder();
  for (let text = ""; !text.includes('"seq":1000,'); ) text += decoder.decode((await reader.read()).value);

  const stopped = served.running.stop();
  for (let part = await reader.read(); !part.done; ) part = await reader.read();
  await writer.write(new TextEncoder().encode(ndjsonOf([emission("th_a", "last")])));
  await writer.close();
  expect(await (await emitting).json()).toEqual({ emitted: 1001, deduplicated: 0 });
  await stopped;
  expect(existsSync(served.paths.socket)).toBe(false);
  expect(existsSync(served.paths.daemon)).toBe(false);
  await expect(served.unix("/health")).rejects.toThrow();

  const again = await serve({ home: served.running.home, port: 0 });
  const status = await fetch("http://localhost/v1/status", { unix: again.socket });
  expect(await status.json()).toMatchObject({ records: 1001, instance_did: served.running.instance_did });
  await again.stop();
});

test("--insecure-localhost opens the port to this machine, and to no other name", async () => {
  await using served = await Served.start({ insecureLocalhost: true });
  expect((await served.tcp("/v1/status")).status).toBe(200);
  expect((await served.tcp("/v1/status", { headers: { origin: "http://localhost:3000" } })).status).toBe(403);
  const rebound = `GET /v1/status HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n`;
  expect(await served.raw(rebound)).toStartWith("HTTP/1.1 403 ");
});

test("options that do not go together, or go nowhere, are refused before anything is made", async () => {
  using folder = new ScratchFolder();
  const home = folder.file("home");
  const refused: [Partial<ServeOptions>, string][] = [
    [{ host: "0.0.0.0", insecureLocalhost: true }, "--insecure-localhost does not go with --host 0.0.0.0"],
    [{ publicUrl: "ftp://x" }, "--public-url is no http or https URL"],
  ];
  for (const [options, message] of refused) {
    const started = serve({ home, port: 0, ...options });
    await expect(started).rejects.toMatchObject({ code: "usage", message: expect.stringContaining(message) });
  }
  expect(existsSync(home)).toBe(false);
});

test("a home whose socket path would be too long is refused in words", async () => {
  using folder = new ScratchFolder();
  const started = serve({ home: folder.file("x".repeat(100)), port: 0 });
  await expect(started).rejects.toMatchObject({ code: "usage", message: expect.stringContaining("107") });
});

test("the home's config.toml says where to listen and what the instance is called outside", async () => {
  using folder = new ScratchFolder();
  const home = folder.file("home");
  mkdirSync(home);
  const config = homePaths(home).config;
  writeFileSync(config, 'public_url = "https://box.example/"\n\n[listen]\nhost = "localhost"\nport = 0\n');
  const running = await serve({ home });
  expect(running.url).toBe("https://box.example");
  const named = await fetch(`http://127.0.0.1:${running.port}/health`, { headers: { host: "box.example" } });
  expect(named.status).toBe(200);
  await running.stop();

  for (const [text, message] of [
    ["listen = 9100\n", "listen"],
    ["[listen]\nport = 70000\n", "listen.port"],
    ['publicurl = "https://x"\n', "publicurl"],
    ["[listen\n", "is not TOML"],
  ] as const) {
    writeFileSync(config, text);
    const started = serve({ home });
    await expect(started).rejects.toMatchObject({ code: "usage", message: expect.stringContaining(message) });
  }
});

test("a name is for a new instance only", async () => {
  using folder = new ScratchFolder();
  const home = folder.file("home");
  const first = await serve({ home, port: 0, name: "box" });
  expect(first.instance_did).toStartWith("did:sync:instance:box-");
  await first.stop();
  const renamed = serve({ home, port: 0, name: "other" });
  await expect(renamed).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringContaining("named box"),
  });
});

test("a log that cannot be written stops nothing", async () => {
  using folder = new ScratchFolder();
  const home = folder.file("home");
  mkdirSync(homePaths(home).log, { recursive: true });
  const running = await serve({ home, port: 0 });
  const health = await fetch("http://localhost/health", { unix: running.socket });
  expect(health.status).toBe(200);
  await running.stop();
});
