import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Daemon } from "../kit/daemon.ts";
import { runSpl, ScratchHome } from "../kit/spl.ts";
import { LIMIT_MS, SLOW, seeded } from "../kit/spread.ts";
import { injecting, killingAt, Strace } from "../kit/strace.ts";

/**
 * What was acknowledged is there after a SIGKILL, at whatever moment it comes: the answer follows the sync of the disk.
 * SPL_SLOW_TESTS=1 kills the daemon 500 times, otherwise 24 times.
 */

setDefaultTimeout(LIMIT_MS);

const ALICE = "did:sync:user:alice";
let home: ScratchHome;

beforeAll(() => {
  home = new ScratchHome();
});
afterAll(() => home[Symbol.dispose]());

const emission = (writer: number, text: string) => ({
  thread: `th_${writer}`,
  actor: ALICE,
  act: "DO",
  body: { text },
});

type Acked = (id: string) => void;

/** Repeats `write` until the connection breaks. */
async function untilGone(write: () => Promise<void>): Promise<void> {
  try {
    for (;;) await write();
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
  }
}

/** Posts one record after the other until the daemon is gone; `acked` hears of each that was acknowledged. */
function writeSingly(daemon: Daemon, writer: number, acked: Acked): Promise<void> {
  let n = 0;
  return untilGone(async () => {
    const response = await daemon.emit(emission(writer, `record ${n++}`));
    const { id } = (await response.json()) as { id: string };
    expect(response.status).toBe(201);
    acked(id);
  });
}

/** The same with NDJSON batches, whose lines are acknowledged one by one. */
function writeBatches(daemon: Daemon, writer: number, acked: Acked): Promise<void> {
  const lines = Array.from({ length: 40 }, (_, n) => `${JSON.stringify(emission(writer, `line ${n}`))}\n`);
  return untilGone(async () => {
    const response = await daemon.fetch("/v1/records", {
      method: "POST",
      headers: { "content-type": "application/x-ndjson", accept: "application/x-ndjson" },
      body: lines.join(""),
    });
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of response.body!) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop()!;
      for (const part of parts) acked((JSON.parse(part) as { id: string }).id);
    }
  });
}

/** The ids of all records that the daemon holds. */
async function held(daemon: Daemon): Promise<Set<string>> {
  const ids = new Set<string>();
  const response = await daemon.fetch("/v1/records?limit=100", {
    headers: { accept: "application/x-ndjson" },
  });
  expect(response.status).toBe(200);
  for (const line of (await response.text()).split("\n")) {
    if (line !== "") ids.add((JSON.parse(line) as { id: string }).id);
  }
  return ids;
}

test("acknowledged records survive a SIGKILL at any moment", async () => {
  const random = seeded(20_261_123);
  const acknowledged = new Set<string>();
  let slowestStart = 0;
  for (let round = 0; round < (SLOW ? 500 : 24); round++) {
    const since = performance.now();
    await using daemon = await Daemon.start(home);
    slowestStart = Math.max(slowestStart, performance.now() - since);
    expect(acknowledged.difference(await held(daemon)).size).toBe(0);

    // In turn: between two acknowledgements, and at some write to the disk.
    const enough = Math.ceil(random() * 60);
    await using _ =
      round % 2 === 0
        ? null
        : await Strace.attach(daemon.pid, ...killingAt(`pwrite64:${Math.ceil(random() * 300)}`));
    let here = 0;
    const acked = (id: string) => {
      acknowledged.add(id);
      if (round % 2 === 0 && ++here === enough) process.kill(daemon.pid, "SIGKILL");
    };
    await Promise.all([
      ...[0, 1, 2].map((writer) => writeSingly(daemon, writer, acked)),
      writeBatches(daemon, 3, acked),
    ]);
    expect(await daemon.ended()).toBe(137);
  }
  expect(acknowledged.size).toBeGreaterThan(100);
  expect(slowestStart).toBeLessThan(5000);
  await using daemon = await Daemon.start(home);
  const there = await held(daemon);
  expect(acknowledged.difference(there).size).toBe(0);
  expect(await daemon.json("/v1/status")).toMatchObject({ records: there.size });
  expect(await runSpl(["doctor", "--deep"], { home })).toMatchObject({ status: 0, stderr: "" });
});

test("an acknowledgement follows the sync of what it acknowledges", async () => {
  await using daemon = await Daemon.start(home);
  await using strace = await Strace.attach(
    daemon.pid,
    ...["-y", "-s", "40", "-e", "trace=pwrite64,fsync,fdatasync,sendto"],
  );
  for (let n = 0; n < 5; n++) expect((await daemon.emit(emission(9, `synced ${n}`))).status).toBe(201);
  let written = false;
  let answers = 0;
  for (const { name, text } of await strace.detach()) {
    if (text.includes("hub.db-wal>")) written = name === "pwrite64";
    if (!text.includes("HTTP/1.1 201")) continue;
    expect(written).toBe(false);
    answers++;
  }
  expect(answers).toBe(5);
});

test("when the disk fails to sync, nothing is acknowledged; when it recovers, all works again", async () => {
  await using daemon = await Daemon.start(home);
  const before = await daemon.json("/v1/status");
  const bundle = `${home.path}/own.tar`;
  expect(await runSpl(["export", "--out", bundle], { home })).toMatchObject({ status: 0 });
  {
    await using _ = await Strace.attach(daemon.pid, ...injecting("fsync,fdatasync", "error=EIO"));
    const response = await daemon.emit(emission(7, "lost"));
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({
      code: "store_damaged",
      hint: expect.stringContaining("disk"),
    });
    expect(await runSpl(["do", "lost as well"], { home })).toMatchObject({
      status: 6,
      stdout: "",
      stderr: expect.stringMatching(/^[^\n]+disk I\/O error[^\n]*\n$/),
    });
    expect((await runSpl(["import", bundle], { home })).status).not.toBe(0);
  }
  const { records, digest } = before;
  expect(await daemon.json("/v1/status")).toMatchObject({ records, digest });
  const response = await daemon.emit(emission(7, "kept"));
  expect(response.status).toBe(201);
  const { id } = (await response.json()) as { id: string };
  await daemon.end("SIGKILL");
  await using again = await Daemon.start(home);
  expect(await held(again)).toContain(id);
  expect(await runSpl(["doctor", "--deep"], { home })).toMatchObject({ status: 0 });
});
