import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { ImportEvent, Manifest, Status } from "../../lib/api/wire.ts";
import { emit } from "../../lib/instance/emit.ts";
import { ALICE, linesOf, TestApp } from "../kit/app.ts";
import { emission } from "../kit/instances.ts";

const BUNDLE = { "content-type": "application/octet-stream" };
const NDJSON = { accept: "application/x-ndjson" };

/** An instance with `n` records of about `size` bytes each. */
async function filled(n: number, size = 20): Promise<TestApp> {
  const app = await TestApp.open();
  const records = Array.from({ length: n }, (_, i) =>
    emission({ thread: `th_${i % 5}`, body: { text: `${i} `.padEnd(size, crypto.randomUUID()) } }),
  );
  await emit(app.ctx.instance, records, { actor: ALICE });
  return app;
}

async function exported(app: TestApp, query = ""): Promise<Uint8Array> {
  const response = await app.call(`/v1/export${query}`);
  expect(response.status).toBe(200);
  return response.bytes();
}

function importing(app: TestApp, bundle: Uint8Array | ReadableStream<Uint8Array>, query = "", headers = {}) {
  return app.call(`/v1/import${query}`, { body: bundle, headers: { ...BUNDLE, ...headers } });
}

/** What a failed or refused import must not leave behind. */
function leftovers(app: TestApp): string[] {
  return readdirSync(app.run).filter((name) => name.startsWith("import-"));
}

function status(app: TestApp): Promise<Status> {
  return app.json<Status>("/v1/status");
}

test("an instance moves: same records, same identity, same bytes again", async () => {
  await using source = await filled(300);
  await using target = await TestApp.open();
  const bundle = await exported(source);
  const response = await importing(target, bundle);
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ inspected: 300, inserted: 300, identity: "adopted" });

  const [there, here] = [await status(source), await status(target)];
  expect(here).toMatchObject({ digest: there.digest, records: 300, instance_did: there.instance_did });
  expect(await exported(target)).toEqual(bundle);
  expect(await (await target.call("/health")).json()).toMatchObject({ instance_did: there.instance_did });
});

test("the manifest is told before the first byte", async () => {
  await using app = await filled(3);
  const response = await app.call("/v1/export?compression=none&identity=none");
  const manifest: Manifest = JSON.parse(
    Buffer.from(response.headers.get("spl-manifest")!, "base64url").toString(),
  );
  expect(manifest).toMatchObject({ record_count: 3, identity: "none", tokens: "none" });
  const tar = Buffer.from(await response.bytes());
  expect(tar.subarray(0, 13).toString()).toBe("manifest.json");
  expect(tar.includes("private_key.bin")).toBe(false);
});

test("an import in events: verified before anything is written, then the summary", async () => {
  await using source = await filled(10);
  await using target = await TestApp.open();
  const events = await linesOf<ImportEvent>(await importing(target, await exported(source), "", NDJSON));
  expect(events.map(({ event }) => event)).toEqual(["verified", "imported"]);
  expect(events[0]).toMatchObject({ signature: "valid", manifest: { record_count: 10 } });
  expect(events[1]).toMatchObject({ inserted: 10, receipt: { inserted: 10 } });
});

test("a dry run tells the same and writes nothing", async () => {
  await using source = await filled(10);
  await using target = await TestApp.open();
  const before = await status(target);
  const response = await importing(target, await exported(source), "?dry_run=true");
  expect(await response.json()).toMatchObject({ inserted: 10, dry_run: true, receipt: null });
  expect({ ...(await status(target)), uptime_s: 0 }).toEqual({ ...before, uptime_s: 0 });
});

test("who follows the feed is told what an import brought", async () => {
  await using source = await filled(1);
  await using target = await TestApp.open();
  const reader = (await target.call("/v1/records?follow=true", { headers: NDJSON })).body!.getReader();
  const read = async () => new TextDecoder().decode((await reader.read()).value);
  expect(await read()).toBe("\n");
  const next = read();
  await importing(target, await exported(source));
  expect(JSON.parse(await next)).toMatchObject({ seq: 1, record: { actor: ALICE } });
});

test("what is refused has its status and leaves nothing behind", async () => {
  await using source = await filled(50);
  await using target = await filled(2);
  const bundle = await exported(source, "?compression=none");
  const flipped = bundle.slice();
  flipped[flipped.length - 3000]! ^= 1;
  const refused: [Uint8Array, string, number, string, string][] = [
    [bundle, "", 409, "store_not_empty", "import refused: local store has 2 records; pass --force-overwrite"],
    [bundle, "?expect_did=did:web:someone", 409, "did_mismatch", "import refused: "],
    [Buffer.from("not a bundle at all".repeat(100)), "", 422, "bundle_malformed", "bundle malformed: "],
    [new Uint8Array(), "", 422, "bundle_malformed", "bundle malformed: "],
    [flipped, "?force_overwrite=true", 422, "bundle_malformed", "bundle malformed: "],
    [bundle.subarray(0, 20_000), "?force_overwrite=true", 422, "bundle_malformed", "bundle malformed: "],
  ];
  const before = await status(target);
  for (const [bytes, query, expected, code, detail] of refused) {
    for (const headers of [{}, NDJSON]) {
      const response = await importing(target, bytes, query, headers);
      const problem = (await response.json()) as { detail: string };
      expect({ status: response.status, ...problem }).toMatchObject({ status: expected, code });
      expect(problem.detail).toStartWith(detail);
    }
  }
  expect((await status(target)).digest).toBe(before.digest);
  expect(leftovers(target)).toEqual([]);
});

test("one import at a time; a client that goes away ends its own and makes room", async () => {
  await using source = await filled(200);
  await using target = await TestApp.open();
  const bundle = await exported(source, "?compression=none");
  const upload = Promise.withResolvers<ReadableStreamDefaultController<Uint8Array>>();
  const held = importing(
    target,
    new ReadableStream({
      start: (controller) => {
        controller.enqueue(bundle.slice(0, bundle.length >> 1));
        upload.resolve(controller);
      },
    }),
  );
  const second = await importing(target, bundle);
  expect(second.status).toBe(409);
  expect(await second.json()).toMatchObject({ code: "import_running" });
  (await upload.promise).error(new Error("connection reset"));
  expect((await held).status).toBe(400);
  expect(leftovers(target)).toEqual([]);
  expect((await status(target)).records).toBe(0);
  expect((await importing(target, bundle)).status).toBe(200);
});

test("an upload is cut when the instance stops, and nothing stays", async () => {
  await using source = await filled(50);
  await using target = await TestApp.open();
  const bundle = await exported(source, "?compression=none");
  const held = importing(
    target,
    new ReadableStream({ start: (controller) => controller.enqueue(bundle.slice(0, bundle.length >> 1)) }),
  );
  await target.ctx.jobs.stop();
  const response = await held;
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ detail: "the instance is stopping" });
  expect(leftovers(target)).toEqual([]);
});

test("an early refusal does not wait for the rest of the upload", async () => {
  await using source = await filled(20, 1_000_000);
  await using target = await filled(3);
  const bundle = await exported(source, "?compression=none");
  const piece = 256 * 1024;
  let sent = 0;
  const upload = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (sent >= bundle.length) return controller.close();
      controller.enqueue(bundle.slice(sent, sent + piece));
      sent += piece;
    },
  });
  const response = await importing(target, upload);
  expect(await response.json()).toMatchObject({ code: "store_not_empty" });
  expect(sent).toBeLessThan(bundle.length / 2);
});

test("exports that are given up free their place, read or not", async () => {
  await using app = await filled(30, 200_000);
  for (let i = 0; i < 6; i++) {
    const head = await app.call("/v1/export?compression=none", { method: "HEAD" });
    expect(head.headers.get("spl-manifest")).not.toBeNull();
    const response = await app.call("/v1/export?compression=none");
    const reader = response.body!.getReader();
    if (i % 2 === 0) await reader.read();
    await reader.cancel();
  }
  expect((await exported(app)).length).toBeGreaterThan(0);
});

test("no more than four exports run at once", async () => {
  await using app = await filled(30, 200_000);
  const running = [];
  for (let i = 0; i < 4; i++) running.push(await app.call("/v1/export?compression=none"));
  const fifth = await app.call("/v1/export");
  expect(fifth.status).toBe(503);
  expect(await fifth.json()).toMatchObject({ code: "store_busy" });
  for (const response of running) await response.body!.cancel();
});

test("an error of the worker arrives as it was thrown", async () => {
  await using app = await TestApp.open();
  const { jobs } = app.ctx;
  Object.assign(jobs, { home: app.folder.file("nowhere") });
  const response = await app.call("/v1/export");
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({
    code: "not_initialized",
    hint: expect.stringContaining("spl init"),
  });
});
