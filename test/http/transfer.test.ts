import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { Status } from "../../lib/api/wire.ts";
import { serve } from "../../server/serve.ts";
import { emission, linesOf, ndjsonOf } from "../kit/app.ts";
import { Served } from "../kit/served.ts";

/** Bundles over real sockets: what a daemon does meanwhile, and what it does when one end goes away. */

const RECORDS = 20_000;
const octets = { "content-type": "application/octet-stream" };
let source: Served;
let bundle: Uint8Array<ArrayBuffer>;

beforeAll(async () => {
  source = await Served.start();
  const lines = Array.from({ length: RECORDS }, (_, i) =>
    emission(
      `th_${String(i % 40).padStart(2, "0")}`,
      `record ${i} ${Bun.hash(String(i)).toString(36).repeat(8)}`,
    ),
  );
  const headers = { "content-type": "application/x-ndjson" };
  await source.unix("/v1/records", { method: "POST", headers, body: ndjsonOf(lines) });
  bundle = (await (await source.unix("/v1/export?compression=none")).bytes()) as Uint8Array<ArrayBuffer>;
});
afterAll(() => source[Symbol.asyncDispose]());

function importInto(
  served: Served,
  body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
  init: RequestInit = {},
): Promise<Response> {
  return served.unix("/v1/import", {
    ...init,
    method: "POST",
    headers: { ...octets, ...init.headers },
    body,
  });
}

async function recordsOf(served: Served): Promise<number> {
  return ((await (await served.unix("/v1/status")).json()) as Status).records;
}

/** Milliseconds of each health check until `done` settles, ascending. */
async function healthDuring(served: Served, done: Promise<unknown>): Promise<number[]> {
  let running = true;
  const ended = done.finally(() => {
    running = false;
  });
  const times: number[] = [];
  while (running) {
    const started = performance.now();
    await (await served.unix("/health")).json();
    times.push(performance.now() - started);
  }
  await ended;
  return times.sort((a, b) => a - b);
}

test("health is told at once while bundles go out and come in", async () => {
  await using target = await Served.start();
  const out = await healthDuring(
    source,
    source.unix("/v1/export").then((response) => response.bytes()),
  );
  const into = await healthDuring(target, importInto(target, bundle));
  expect(await recordsOf(target)).toBe(RECORDS);
  for (const times of [out, into]) {
    expect(times.length).toBeGreaterThan(5);
    expect(times[Math.floor(times.length * 0.95)]!).toBeLessThan(100);
  }
});

test("a client that dies in the middle of an upload leaves nothing, and the next one gets its turn", async () => {
  await using target = await Served.start();
  const gone = new AbortController();
  const upload = new TransformStream<Uint8Array, Uint8Array>();
  const writer = upload.writable.getWriter();
  const dying = importInto(target, upload.readable, { signal: gone.signal });
  for (let at = 0; at < bundle.length / 2; at += 1024 * 1024)
    await writer.write(bundle.slice(at, at + 1024 * 1024));
  gone.abort();
  await expect(dying).rejects.toThrow();
  let response = await importInto(target, bundle);
  while (response.status === 409) response = await importInto(target, bundle);
  expect(await response.json()).toMatchObject({ inserted: RECORDS });
  expect(readdirSync(target.paths.run).filter((name) => name.startsWith("import-"))).toEqual([]);
});

test("a daemon that is stopped when all is verified ends the import, or makes no beginning, and tells which", async () => {
  const target = await Served.start();
  const response = await importInto(target, bundle, {
    headers: { ...octets, accept: "application/x-ndjson" },
  });
  const stopped = target.running.stop();
  const events = await linesOf(response);
  expect(events[0]!.event).toBe("verified");
  // Whether the commit had begun is a matter of chance.
  const records = events[1]!.event === "imported" ? RECORDS : 0;
  if (records === 0) expect(events[1]).toMatchObject({ event: "problem", problem: { code: "store_busy" } });
  await stopped;
  const again = await serve({ home: target.running.home, port: 0 });
  const status = await fetch("http://localhost/v1/status", { unix: again.socket });
  const { instance_did } = (records === 0 ? target : source).running;
  expect(await status.json()).toMatchObject({ records, instance_did });
  await again.stop();
  await target[Symbol.asyncDispose]();
});

test("an export that is cut by a stopping daemon is no whole file", async () => {
  await using target = await Served.start();
  await importInto(target, bundle);
  const response = await target.unix("/v1/export?compression=none");
  const reader = response.body!.getReader();
  await reader.read();
  const stopped = target.running.stop();
  const rest = async () => {
    for (let part = await reader.read(); !part.done; ) part = await reader.read();
  };
  await expect(rest()).rejects.toThrow();
  await stopped;
});
