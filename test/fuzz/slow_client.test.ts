import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { utf8 } from "../../lib/base/bytes.ts";
import { SplError } from "../../lib/base/errors.ts";
import { initInstance } from "../../lib/instance/instance.ts";
import { BundleJobs } from "../../server/bundle_jobs.ts";
import { chain, sourceOf, write } from "../kit/bundle_kit.ts";
import { Daemon } from "../kit/daemon.ts";
import { IMPORT_DEFAULTS, inPieces } from "../kit/instances.ts";
import { testSigner } from "../kit/records.ts";
import { ScratchHome } from "../kit/spl.ts";
import { LIMIT_MS } from "../kit/spread.ts";
import { ScratchFolder } from "../kit/store.ts";

/** Clients that go away in the middle, stand still, or never end: they harm nobody but themselves. */

const CHECKED = { ...IMPORT_DEFAULTS, autoRollback: true, copies: "/nonexistent" };

setDefaultTimeout(LIMIT_MS);

let home: ScratchHome;
let daemon: Daemon;
/** Some 6 MB: more than lies in any buffer on the way. */
let bundle: Uint8Array;
let tiny: Uint8Array;

beforeAll(async () => {
  const owner = testSigner(5);
  bundle = await write(sourceOf(owner, chain(owner, "th_x", 5000)));
  tiny = await write(sourceOf(owner, []));
  home = new ScratchHome();
  daemon = await Daemon.start(home, { flags: ["--insecure-localhost"] });
  expect((await importing("", bundle)).status).toBe(200);
});

afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  home[Symbol.dispose]();
});

type Transport = "tcp" | "unix";

/** A connection to the daemon in the raw. */
class Raw implements Disposable {
  readonly socket: Socket;
  heard = "";
  closed = false;

  constructor(transport: Transport) {
    this.socket =
      transport === "tcp" ? connect(daemon.port, "127.0.0.1") : connect({ path: daemon.paths.socket });
    this.socket.on("data", (data) => {
      this.heard += data.toString("latin1");
    });
    // A reset is what some of these tests are about.
    this.socket.on("error", () => undefined);
    this.socket.on("close", () => {
      this.closed = true;
    });
  }

  request(line: string, headers: Record<string, string>): Promise<void> {
    const lines = Object.entries({ host: "localhost", ...headers }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    return this.send(utf8(`${line} HTTP/1.1\r\n${lines.join("")}\r\n`));
  }

  /** Resolves once the system took it all. */
  send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
  }

  sendChunk(bytes: Uint8Array): Promise<void> {
    return this.send(Buffer.concat([utf8(`${bytes.length.toString(16)}\r\n`), bytes, utf8("\r\n")]));
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

const BUNDLE = { "content-type": "application/octet-stream" };

function importing(query = "?dry_run=true&force_overwrite=true", body = tiny): Promise<Response> {
  return daemon.fetch(`/v1/import${query}`, { method: "POST", headers: BUNDLE, body });
}

/** Asks until it is let in: the end of a connection takes its time to arrive. */
async function expectImportFree(): Promise<void> {
  const since = performance.now();
  let response = await importing();
  while (response.status === 409 && performance.now() - since < 5000) response = await importing();
  expect(response.status).toBe(200);
  expectTidy();
}

function expectTidy(): void {
  expect(readdirSync(daemon.paths.run).sort()).toEqual(["daemon.json", "lock", "spl.sock"]);
}

const transports: Transport[] = ["tcp", "unix"];

for (const transport of transports) {
  for (const framing of ["length", "chunked"] as const) {
    for (const end of ["destroy", "end", "resetAndDestroy"] as const) {
      test(`an upload (${transport}, ${framing}) that ends with ${end} in the middle leaves nothing`, async () => {
        using client = new Raw(transport);
        const size: Record<string, string> =
          framing === "length"
            ? { "content-length": String(bundle.length) }
            : { "transfer-encoding": "chunked" };
        await client.request("POST /v1/import?dry_run=true", { ...BUNDLE, ...size });
        const part = bundle.subarray(0, 3_000_000);
        await (framing === "length" ? client.send(part) : client.sendChunk(part));
        // As long as it holds on, nobody else comes in.
        const second = await importing();
        expect([second.status, await second.json()]).toMatchObject([409, { code: "import_running" }]);
        client.socket[end]();
        await expectImportFree();
      });
    }
  }
}

test("an upload that brings nothing for a minute keeps its place until another import comes", async () => {
  using folder = new ScratchFolder();
  const path = folder.file("home");
  await initInstance(path);
  let now = 0;
  const jobs = new BundleJobs(
    path,
    () => undefined,
    () => now,
  );
  const silent = async function* () {
    yield bundle.subarray(0, 1000);
    await new Promise<never>(() => undefined);
  };
  const first = await jobs.startImport(silent(), CHECKED);
  const end = first.imported.catch((error) => error);
  now = 59_000;
  await expect(jobs.startImport(inPieces(bundle), CHECKED)).rejects.toMatchObject({
    code: "import_running",
  });
  now = 120_000;
  const second = await jobs.startImport(inPieces(bundle), CHECKED);
  // What has arrived in full is never sent away, however long it takes.
  await second.verified;
  now = Number.MAX_SAFE_INTEGER;
  const third = jobs.startImport(inPieces(bundle), CHECKED).catch((error) => error);
  expect(await end).toMatchObject({
    message: "nothing came of the bundle for a minute, and another import began",
  });
  expect(await second.imported).toMatchObject({ inserted: 5000 });
  await third;
  await jobs.stop();
});

test("an import that asks before it adopts ends when it is refused, and when the instance stops", async () => {
  using folder = new ScratchFolder();
  const path = folder.file("home");
  await initInstance(path);
  const jobs = new BundleJobs(path, () => undefined);
  const refused = await jobs.startImport(inPieces(bundle), CHECKED, () =>
    Promise.reject(new SplError("conflict", "it is alive elsewhere")),
  );
  expect(await refused.imported.catch((error) => error)).toMatchObject({ message: "it is alive elsewhere" });
  const asked = Promise.withResolvers<void>();
  const stopped = await jobs.startImport(inPieces(bundle), CHECKED, () => {
    asked.resolve();
    return new Promise<never>(() => undefined);
  });
  await asked.promise;
  await jobs.stop();
  expect(await stopped.imported.catch((error) => error)).toMatchObject({
    message: "the instance is stopping",
  });
}, 10_000);

test("four downloads that stand still take every place for exports, and give it back when they go", async () => {
  for (const transport of transports) {
    const stalled: Raw[] = [];
    for (let n = 0; n < 4; n++) {
      const client = new Raw(transport);
      client.socket.pause();
      stalled.push(client);
      await client.request("GET /v1/export?compression=none", {});
    }
    const since = performance.now();
    let fifth = await daemon.fetch("/v1/export");
    while (fifth.status === 200 && performance.now() - since < 5000) {
      await fifth.body!.cancel();
      fifth = await daemon.fetch("/v1/export");
    }
    expect([fifth.status, fifth.headers.get("retry-after")]).toEqual([503, "5"]);
    expect((await daemon.fetch("/health")).status).toBe(200);
    for (const client of stalled) client[Symbol.dispose]();
    const freed = performance.now();
    let again = await daemon.fetch("/v1/export?compression=none");
    while (again.status === 503 && performance.now() - freed < 5000) {
      again = await daemon.fetch("/v1/export?compression=none");
    }
    expect(again.status).toBe(200);
    expect((await again.bytes()).length).toBe(bundle.length);
  }
  expectTidy();
});

test("a download that is cut off in the middle leaves the daemon as it was", async () => {
  for (const transport of transports) {
    for (let n = 0; n < 5; n++) {
      using client = new Raw(transport);
      await client.request("GET /v1/export?compression=none", {});
      await new Promise((resolve) => client.socket.once("data", resolve));
      client.socket.resetAndDestroy();
    }
  }
  await expectImportFree();
});

interface Endless {
  what: string;
  request: string;
  type: string;
  block: Uint8Array;
  status: number;
  code: string;
}

const spaces = new Uint8Array(1 << 20).fill(0x20);
const letters = new Uint8Array(1 << 20).fill(0x61);

const TOO_LARGE = { status: 413, code: "body_too_large" };
const MALFORMED = { status: 422, code: "bundle_malformed" };

const ENDLESS: Endless[] = [
  { what: "white space", request: "/v1/records", type: "application/json", block: spaces, ...TOO_LARGE },
  { what: "a line", request: "/v1/records", type: "application/x-ndjson", block: letters, ...TOO_LARGE },
  { what: "white space", request: "/v1/tokens", type: "application/json", block: spaces, ...TOO_LARGE },
  { what: "letters", request: "/v1/import", type: "application/octet-stream", block: letters, ...MALFORMED },
  {
    what: "frames of zeros",
    request: "/v1/import",
    type: "application/octet-stream",
    block: Bun.zstdCompressSync(new Uint8Array(4 << 20)),
    ...MALFORMED,
  },
];

for (const { what, request, type, block, status, code } of ENDLESS) {
  for (const framing of ["chunked", "a length of 100 GB"]) {
    test(`${what} without end to ${request} (${framing}) is refused while it comes`, async () => {
      using client = new Raw("tcp");
      const size: Record<string, string> =
        framing === "chunked" ? { "transfer-encoding": "chunked" } : { "content-length": "100000000000" };
      await client.request(`POST ${request}?`, { "content-type": type, ...size });
      let sent = 0;
      while (!client.heard.includes("\r\n\r\n{") && !client.closed && sent < 256 << 20) {
        await (framing === "chunked" ? client.sendChunk(block) : client.send(block));
        sent += block.length;
        // What can be written at once leaves no turn to hear the answer.
        await new Promise(setImmediate);
      }
      expect(client.heard.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
      expect(client.heard).toContain(`"code":"${code}"`);
      client.socket.destroy();
      await expectImportFree();
    });
  }
}

test("heads without end and connections that say nothing keep nobody out", async () => {
  const before = daemon.residentMiB;
  using many = new DisposableStack();
  for (let n = 0; n < 200; n++) {
    const client = many.use(new Raw("tcp"));
    await client.send(utf8("GET /health HTTP/1.1\r\nhost: localhost\r\nx-slow: "));
  }
  using endless = new Raw("tcp");
  await endless.request("GET /health", {}).catch(() => undefined);
  await endless.send(utf8("GET /health HTTP/1.1\r\n"));
  for (let sent = 0; sent < 8 << 20 && !endless.closed; sent += 1024) {
    await endless.send(utf8(`x-${sent}: ${"y".repeat(1000)}\r\n`));
  }
  const answer = await daemon.fetch("/health");
  expect(answer.status).toBe(200);
  expect(daemon.residentMiB - before).toBeLessThan(64);
});

test("followers that die or never read do not disturb those who write", async () => {
  using many = new DisposableStack();
  const followers = Array.from({ length: 20 }, (_, n) => many.use(new Raw(transports[n % 2]!)));
  for (const follower of followers) {
    await follower.request("GET /v1/records?follow=true", { accept: "application/x-ndjson" });
    follower.socket.pause();
  }
  const text = "z".repeat(100_000);
  for (let n = 0; n < 30; n++) {
    if (n % 2 === 0) followers[n / 2]!.socket.resetAndDestroy();
    const emission = { thread: "th_followed", actor: "did:sync:user:alice", act: "DO", body: { text, n } };
    expect((await daemon.emit(emission)).status).toBe(201);
  }
  expect((await daemon.fetch("/health")).status).toBe(200);
});
