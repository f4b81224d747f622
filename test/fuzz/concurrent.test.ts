import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { writeBundle } from "../../lib/bundle/write.ts";
import { chain, sourceOf } from "../kit/bundle_kit.ts";
import { Daemon, spawnDaemon, statusOf } from "../kit/daemon.ts";
import { testSigner } from "../kit/records.ts";
import { runSpl, ScratchHome } from "../kit/spl.ts";
import { LIMIT_MS } from "../kit/spread.ts";
import { Strace } from "../kit/strace.ts";

/** Everything at once: imports, emits, exports, requests, daemons, and an end in the middle of it. */

setDefaultTimeout(LIMIT_MS);

const ALICE = "did:sync:user:alice";
let scratch: ScratchHome;
let large: string;
let small: string;

beforeAll(async () => {
  scratch = new ScratchHome();
  large = await bundleOf(500, 200, "large");
  small = await bundleOf(20, 50, "small");
});

afterAll(() => scratch[Symbol.dispose]());

/** Writes a bundle of so many threads, with so many records each. */
async function bundleOf(threads: number, records: number, name: string): Promise<string> {
  const owner = testSigner(threads, name);
  const entries = Array.from({ length: threads }, (_, n) => chain(owner, `th_${n}`, records)).flat();
  const path = `${scratch.path}/${name}.tar.zst`;
  const { chunks } = await writeBundle(sourceOf(owner, entries), "zst");
  await Bun.write(path, new Response(chunks as unknown as ReadableStream));
  return path;
}

const emission = (thread: string, n: number) => ({ thread, actor: ALICE, act: "DO", body: { n } });

const importing = (daemon: Daemon, file: string, query = "") =>
  daemon.fetch(`/v1/import${query}`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: Bun.file(file),
  });

function expectTidy({ paths }: Daemon): void {
  expect(readdirSync(paths.run).sort()).toEqual(["daemon.json", "lock", "spl.sock"]);
}

test("of eight imports at once one takes place, and the others say so or find all there", async () => {
  using home = new ScratchHome();
  await using daemon = await Daemon.start(home);
  const answers = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const response = await importing(daemon, small);
      return {
        status: response.status,
        ...((await response.json()) as { code?: string; inserted?: number }),
      };
    }),
  );
  expect(answers.filter(({ inserted }) => inserted === 1000)).toHaveLength(1);
  for (const { status, code, inserted } of answers) {
    expect([
      { status: 200, inserted: 1000 },
      { status: 200, inserted: 0 },
      { status: 409, code: "import_running" },
    ]).toContainEqual(JSON.parse(JSON.stringify({ status, code, inserted })));
  }
  expect(await daemon.json("/v1/status")).toMatchObject({ records: 1000, forks: 0 });
  expectTidy(daemon);
  const out = `${home.path}/again.tar.zst`;
  expect(await runSpl(["export", "--out", out], { home })).toMatchObject({ status: 0 });
  expect(Buffer.from(await Bun.file(out).bytes()).equals(await Bun.file(small).bytes())).toBe(true);
});

test("while 100,000 records go in, requests, emits and exports are answered", async () => {
  using home = new ScratchHome();
  await using daemon = await Daemon.start(home);
  let over = false;
  const imported = importing(daemon, large, "?force_overwrite=true").finally(() => {
    over = true;
  });
  let slowest = 0;
  let asked = 0;
  const health = async () => {
    while (!over) {
      const since = performance.now();
      expect((await daemon.fetch("/health")).status).toBe(200);
      slowest = Math.max(slowest, performance.now() - since);
      asked++;
    }
  };
  const acknowledged: string[] = [];
  const emits = async () => {
    for (let n = 0; !over; n++) {
      const response = await daemon.emit(emission("th_beside", n));
      expect(response.status).toBe(201);
      acknowledged.push(((await response.json()) as { id: string }).id);
    }
  };
  const exports = async () => {
    for (let n = 0; !over; n++) {
      const out = `${home.path}/beside-${n}.tar`;
      expect(await runSpl(["export", "--out", out], { home })).toMatchObject({ status: 0 });
      expect(await runSpl(["verify", out], { home })).toMatchObject({ status: 0 });
    }
  };
  await Promise.all([health(), emits(), exports()]);
  expect(await (await imported).json()).toMatchObject({ inserted: 100_000 });
  expect(asked).toBeGreaterThan(20);
  expect(slowest).toBeLessThan(1000);
  for (const id of acknowledged) expect((await daemon.fetch(`/v1/records/${id}`)).status).toBe(200);
  expect(await daemon.json("/v1/status")).toMatchObject({ records: 100_000 + acknowledged.length });
  expectTidy(daemon);
});

test("however fast exports and imports come and go, there are no more threads than places", async () => {
  using home = new ScratchHome();
  await using daemon = await Daemon.start(home);
  expect((await importing(daemon, small)).status).toBe(200);
  let most = 0;
  const lane = async () => {
    for (let n = 0; n < 20; n++) {
      const response = await (n % 5 === 0 ? importing(daemon, small) : daemon.fetch("/v1/export"));
      await response.body!.cancel();
      most = Math.max(most, workersOf(daemon));
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  // Four exports and an import, and some that are just leaving.
  expect(most).toBeLessThan(12);
  const since = performance.now();
  while (workersOf(daemon) > 0 && performance.now() - since < 5000) await daemon.fetch("/health");
  expect(workersOf(daemon)).toBe(0);
});

test("exports and imports end without a signal, which whoever traces the daemon could swallow", async () => {
  using home = new ScratchHome();
  await using daemon = await Daemon.start(home);
  await using strace = await Strace.attach(daemon.pid, "-e", "trace=tgkill");
  for (let n = 0; n < 3; n++) {
    expect((await importing(daemon, small)).status).toBe(200);
    expect((await daemon.fetch("/v1/export")).status).toBe(200);
  }
  expect(await strace.detach()).toEqual([]);
});

/** Threads of exports and imports. */
function workersOf({ pid }: Daemon): number {
  const names = readdirSync(`/proc/${pid}/task`).map((thread) => {
    try {
      return readFileSync(`/proc/${pid}/task/${thread}/comm`, "utf8");
    } catch {
      return "gone";
    }
  });
  return names.filter((name) => name === "Worker\n").length;
}

test("200 writes at once, among 1,000 connections that do nothing, become one chain", async () => {
  using home = new ScratchHome();
  await using daemon = await Daemon.start(home);
  await using _ = await idlers(daemon, 1000);
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => daemon.emit(emission("th_a", n))));
  const clocks = await Promise.all(
    answers.map(async (answer) => ((await answer.json()) as { clock: number }).clock),
  );
  expect(clocks.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, n) => n));
  expect(await daemon.json("/v1/threads/th_a")).toMatchObject({
    records: 200,
    forks: 0,
    heads: [expect.anything()],
  });
});

/** TCP connections that say nothing. */
async function idlers(daemon: Daemon, n: number): Promise<AsyncDisposable> {
  const sockets = await Promise.all(
    Array.from({ length: n }, () => {
      const { promise, resolve, reject } = Promise.withResolvers<Socket>();
      const socket = connect(daemon.port, "127.0.0.1", () => resolve(socket));
      socket.on("error", reject);
      return promise;
    }),
  );
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

test("of two daemons that start on one home exactly one lives, and the other names it", async () => {
  using home = new ScratchHome();
  for (let round = 0; round < 20; round++) {
    using ends = new DisposableStack();
    const children = [spawnDaemon(home), spawnDaemon(home)];
    ends.defer(() =>
      children.forEach((child) => {
        child.kill("SIGKILL");
      }),
    );
    const told = await Promise.all(
      children.map(async (child) => {
        const line = await new Response(child.stdout.pipeThrough(firstLine())).text();
        return line === "" ? null : (JSON.parse(line) as { pid: number; url: string });
      }),
    );
    const [living, ...more] = told.filter((facts) => facts !== null);
    expect([round, living !== undefined, more]).toEqual([round, true, []]);
    const loser = children.find(({ pid }) => pid !== living!.pid)!;
    await loser.exited;
    expect(statusOf(loser)).toBe(5);
    const problem = JSON.parse(await loser.stderr.text()) as object;
    expect(problem).toMatchObject({ code: "daemon_running", pid: living!.pid, url: living!.url });
    const winner = children.find(({ pid }) => pid === living!.pid)!;
    // Every second one dies, so that what it says of itself is left behind.
    winner.kill(round % 2 === 0 ? "SIGKILL" : "SIGTERM");
    await winner.exited;
  }
});

/** Ends with the first line. */
function firstLine(): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk);
      if (chunk.includes(0x0a)) controller.terminate();
    },
  });
}

test("SIGTERM under load: what was acknowledged is there, the end is in order", async () => {
  using home = new ScratchHome();
  const acknowledged = new Set<string>();
  for (let round = 0; round < 3; round++) {
    await using daemon = await Daemon.start(home);
    const ended = Promise.withResolvers<number>();
    const writer = async (w: number) => {
      for (let n = 0; ; n++) {
        const response = await daemon.emit(emission(`th_${w}`, n)).catch(() => null);
        if (response?.status !== 201) return;
        const body = (await response.json().catch(() => null)) as { id: string } | null;
        if (body === null) return;
        acknowledged.add(body.id);
        if (w === 0 && n === 10 + round) ended.resolve(daemon.end("SIGTERM"));
      }
    };
    await Promise.all(Array.from({ length: 20 }, (_, w) => writer(w)));
    expect(await ended.promise).toBe(0);
    expect(readdirSync(daemon.paths.run).sort()).toEqual(["lock", "nonces.json"]);
    expect(readdirSync(daemon.paths.home).sort()).toEqual(["hub.db", "keys", "logs", "run"]);
  }
  await using daemon = await Daemon.start(home);
  for (const id of acknowledged) expect((await daemon.fetch(`/v1/records/${id}`)).status).toBe(200);
  expect(await daemon.json("/v1/status")).toMatchObject({ records: acknowledged.size });
});

test("a stop is not held up by streams that follow, idle connections or an upload that stalls", async () => {
  using home = new ScratchHome();
  await using daemon = await Daemon.start(home, { flags: ["--insecure-localhost"] });
  await using _ = await idlers(daemon, 50);
  const following = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const response = await daemon.fetch("/v1/records?follow=true", {
        headers: { accept: "application/x-ndjson" },
      });
      const reader = response.body!.getReader();
      await reader.read();
      return reader;
    }),
  );
  const upload = connect(daemon.port, "127.0.0.1");
  upload.on("error", () => undefined);
  upload.write(
    "POST /v1/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: 9999\r\n\r\nx",
  );
  const since = performance.now();
  const ended = daemon.end("SIGTERM");
  for (const reader of following) expect(await reader.read()).toMatchObject({ done: true });
  expect(await ended).toBe(0);
  // Well under the grace that running requests have.
  expect(performance.now() - since).toBeLessThan(3000);
  upload.destroy();
});
