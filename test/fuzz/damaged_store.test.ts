import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { type HomePaths, homePaths } from "../../lib/base/home.ts";
import { Daemon } from "../kit/daemon.ts";
import { runSpl, ScratchHome, twinOf } from "../kit/spl.ts";
import { inLanes, LIMIT_MS, SLOW, seeded } from "../kit/spread.ts";
import { injecting, Strace } from "../kit/strace.ts";
import { canMount, TinyDisk } from "../kit/tiny_disk.ts";
import { vectorLines } from "../vectors/vectors.ts";

/**
 * The files of a home come to harm: a start refuses in one line or recovers all, `spl doctor` tells what is wrong, and
 * nothing passes as a smaller or empty instance. SPL_SLOW_TESTS=1 damages 600 stores at random, otherwise 15.
 */

setDefaultTimeout(LIMIT_MS);

const ALICE = "did:sync:user:alice";

/** A home whose daemon was killed, with its newest records in the log; `other` is another instance's. */
let killed: ScratchHome;
let other: ScratchHome;
/** A home that was closed in order. */
let closed: ScratchHome;
/** What `killed` and `closed` hold. */
let whole: State;

interface State {
  instance_did: string;
  records: number;
  digest: string;
}

beforeAll(async () => {
  killed = new ScratchHome();
  other = new ScratchHome();
  for (const [home, n] of [
    [other, 140],
    [killed, 100],
  ] as const) {
    await using daemon = await Daemon.start(home);
    for (let i = 0; i < n; i++) expect((await daemon.emit(emission(i))).status).toBe(201);
    whole = await stateOf(daemon);
  }
  closed = twinOf(killed);
  await using daemon = await Daemon.start(closed);
  await daemon.end("SIGTERM");
});

afterAll(() => {
  for (const home of [killed, other, closed]) home[Symbol.dispose]();
});

function emission(n: number): object {
  return { thread: `th_${n % 5}`, actor: ALICE, act: "DO", body: { n, text: "x".repeat(300) } };
}

async function stateOf(daemon: Daemon): Promise<State> {
  const { instance_did, records, digest } = await daemon.json<State>("/v1/status");
  return { instance_did, records, digest };
}

const pathsOf = (home: ScratchHome): HomePaths => homePaths(home.env.SYNCROPEL_HOME!);

/** What becomes of a start: the state, or the code of the one line that it says. */
async function startOf(home: ScratchHome): Promise<State | string> {
  let daemon: Daemon;
  try {
    daemon = await Daemon.start(home);
  } catch (error) {
    const lines = (error as Error).message.trim().split("\n");
    expect(lines).toHaveLength(1);
    const { code, detail } = JSON.parse(lines[0]!) as { code: string; detail: string };
    expect(detail).not.toMatch(STACK);
    return code;
  }
  await using running = daemon;
  const state = await stateOf(running);
  expect(await running.end("SIGTERM")).toBe(0);
  return state;
}

const STACK = /internal error|\bat .+:\d+:\d+/;

/** The names of the checks that fail, of a `doctor` that says nothing else. */
async function failedChecks(home: ScratchHome): Promise<string[]> {
  const { status, stdout, stderr } = await runSpl(["doctor", "--deep"], { home });
  expect(stdout + stderr).not.toMatch(STACK);
  const failed = stdout.split("\n").flatMap((line) => /^FAIL +(\w+)/.exec(line)?.[1] ?? []);
  if (failed.length > 0) expect(status).toBe(2);
  else expect(status).toBeLessThan(2);
  return failed;
}

test("a damaged database of SQLite's own collection is refused by name and left untouched", async () => {
  const vectors = vectorLines<{ name: string; zlib_b64: string }>("sqlite/corrupt-db.jsonl");
  expect(vectors).toHaveLength(32);
  await inLanes(vectors, async ({ name, zlib_b64 }) => {
    using home = twinOf(closed);
    const { db } = pathsOf(home);
    const bytes = inflateSync(Buffer.from(zlib_b64, "base64"));
    writeFileSync(db, bytes);
    expect([name, await startOf(home)]).toEqual([name, "store_damaged"]);
    expect([name, await failedChecks(home)]).toEqual([name, ["open"]]);
    const { status, stdout } = await runSpl(["export", "--offline", "--out", `${home.path}/out.tar`], {
      home,
    });
    expect([name, status, stdout]).toEqual([name, 6, ""]);
    expect([name, readFileSync(db).equals(bytes)]).toEqual([name, true]);
    expect([name, readdirSync(home.path)]).toEqual([name, ["syncro"]]);
  });
});

/** What happens to which file of a killed home, and what a start then makes of it. */
const HARM: [what: string, harm: (paths: HomePaths) => void, start: string, failed: string[]][] = [
  ["the store is empty", ({ db }) => truncateSync(db, 0), "store_damaged", ["open"]],
  ["the store is cut in its first page", ({ db }) => truncateSync(db, 100), "store_damaged", ["open"]],
  ["the store is cut behind its first page", ({ db }) => truncateSync(db, 4096), "store_damaged", ["open"]],
  ["the store is gone", ({ db }) => rmSync(db), "not_initialized", ["open"]],
  ["the log is gone", ({ db }) => rmSync(`${db}-wal`), "store_damaged", ["open"]],
  [
    "the log and its index are gone",
    ({ db }) =>
      ["-wal", "-shm"].forEach((end) => {
        rmSync(db + end);
      }),
    "store_damaged",
    ["open"],
  ],
  ["the log is garbage", ({ db }) => writeFileSync(`${db}-wal`, noise(60_000)), "store_damaged", ["open"]],
  ["the log is a folder", ({ db }) => replaceByFolder(`${db}-wal`), "file_unreadable", ["open"]],
  ["the index of the log is gone", ({ db }) => rmSync(`${db}-shm`), "whole", []],
  ["the index of the log is garbage", ({ db }) => writeFileSync(`${db}-shm`, noise(32_768)), "whole", []],
  ["the index of the log is another's", ({ db }) => fromOther(db, "-shm"), "whole", []],
  [
    "store, log and index are another's",
    ({ db }) => fromOther(db, "", "-wal", "-shm"),
    "key_missing",
    ["open"],
  ],
  ["run/ is gone", ({ run }) => rmSync(run, { recursive: true }), "whole", []],
  ["the lock is garbage", ({ lock }) => writeFileSync(lock, noise(5000)), "file_unreadable", []],
  ["the socket is a folder", ({ socket }) => replaceByFolder(socket), "daemon_failed", []],
  ["daemon.json is garbage", ({ daemon }) => writeFileSync(daemon, "{"), "whole", []],
  ["the log file is a folder", ({ log }) => replaceByFolder(log), "whole", []],
  ["the log file is a full device", ({ log }) => replaceByLink(log, "/dev/full"), "whole", []],
];

for (const [what, harm, start, failed] of HARM) {
  test(`${what}: ${start === "whole" ? "all is recovered" : `refused with ${start}`}`, async () => {
    using home = twinOf(killed);
    harm(pathsOf(home));
    using same = twinOf(home);
    expect(await failedChecks(same)).toEqual(failed);
    expect(await startOf(home)).toEqual(start === "whole" ? whole : start);
  });
}

test("after the log was lost, a start goes on without it only where that was asked for", async () => {
  using home = twinOf(killed);
  const { db, daemon } = pathsOf(home);
  rmSync(`${db}-wal`);
  const { stderr } = await runSpl(["serve", "--isolated", "--port", "0"], { home });
  expect(stderr).toContain(`remove ${daemon}`);
  rmSync(daemon);
  const state = (await startOf(home)) as State;
  expect(state.instance_did).toBe(whole.instance_did);
  expect(state.records).toBeLessThan(whole.records);
  expect(await failedChecks(home)).toEqual([]);
});

test("a doctor between a kill and the next start is no loss of the log", async () => {
  using home = twinOf(killed);
  expect(await failedChecks(home)).toEqual([]);
  expect(await startOf(home)).toEqual(whole);
  expect(readdirSync(home.env.SYNCROPEL_HOME!).sort()).toEqual(["hub.db", "keys", "logs", "run"]);
});

test("the log of another instance is found out by doctor", async () => {
  using home = twinOf(killed);
  fromOther(pathsOf(home).db, "-wal", "-shm");
  expect(await failedChecks(home)).toContain("records");
});

function noise(n: number): Uint8Array {
  const random = seeded(n);
  return Uint8Array.from({ length: n }, () => random() * 256);
}

function replaceByFolder(path: string): void {
  rmSync(path, { force: true });
  mkdirSync(path);
}

function replaceByLink(path: string, target: string): void {
  rmSync(path, { force: true });
  symlinkSync(target, path);
}

function fromOther(db: string, ...ends: string[]): void {
  for (const end of ends) copyFileSync(pathsOf(other).db + end, db + end);
}

const READS = [
  "/v1/status",
  "/v1/threads",
  "/v1/actors",
  "/v1/threads/th_1",
  "/v1/threads/th_1/records",
  "/v1/records",
];

test("a page at random is damaged: what is told is right, or it is told that it is damaged", async () => {
  const random = seeded(6);
  const size = statSync(pathsOf(closed).db).size;
  const damages = Array.from({ length: SLOW ? 600 : 15 }, (_, n) => ({
    kind: (["bit", "noise", "zeros"] as const)[n % 3]!,
    at: Math.floor(random() * size),
    bit: Math.floor(random() * 8),
  }));
  let refused = 0;
  await inLanes(damages, async ({ kind, at, bit }) => {
    using home = twinOf(closed);
    const { db } = pathsOf(home);
    const bytes = readFileSync(db);
    const page = at - (at % 4096);
    if (kind === "bit") bytes[at]! ^= 1 << bit;
    else if (kind === "noise") bytes.set(noise(4096), page);
    else bytes.fill(0, page, page + 4096);
    writeFileSync(db, bytes);
    const failed = await failedChecks(home);
    await using daemon = await Daemon.start(home).catch(() => null);
    if (!daemon) {
      refused++;
      expect(failed).not.toEqual([]);
      expect(await startOf(home)).toBe("store_damaged");
      return;
    }
    for (const path of READS) {
      // A listing may end where the damage is, without its end, so that nobody takes it for whole.
      const response = await daemon
        .fetch(path, { headers: { accept: "application/x-ndjson" } })
        .catch(() => null);
      const text = await response?.text().catch(() => null);
      if (response?.status === 500) expect(JSON.parse(text!)).toMatchObject({ code: "store_damaged" });
    }
    const state = await daemon.json("/v1/status");
    if (state.status === "ok") expect(state).toMatchObject(whole);
    const emitted = await daemon.emit(emission(1000));
    if (emitted.status !== 201) expect([emitted.status, failed.length > 0]).toEqual([500, true]);
    const out = `${home.path}/out.tar`;
    const exported = await runSpl(["export", "--out", out], { home });
    if (exported.status === 0) expect(await runSpl(["verify", out], { home })).toMatchObject({ status: 0 });
    else expect([failed.length > 0, exported.status, exported.stderr.match(STACK)]).toEqual([true, 6, null]);
    expect(await daemon.end("SIGTERM")).toBe(0);
  });
  expect(refused).toBeLessThan(damages.length);
});

test("a copy that is taken while the home is written is whole, or doctor says what is wrong with it", async () => {
  using home = twinOf(closed);
  await using daemon = await Daemon.start(home);
  let over = false;
  let acknowledged = whole.records;
  const writer = async (w: number) => {
    for (let n = 0; !over; n++) {
      expect((await daemon.emit(emission(w * 100_000 + n))).status).toBe(201);
      acknowledged++;
    }
  };
  const writers = [1, 2, 3, 4].map(writer);
  for (let n = 0; n < 6; n++) {
    using copy = new ScratchHome();
    const before = acknowledged;
    const done = Bun.spawn(["cp", "-r", home.env.SYNCROPEL_HOME!, copy.env.SYNCROPEL_HOME!], {
      stderr: "ignore",
    });
    await done.exited;
    const failed = await failedChecks(copy);
    const state = await startOf(copy);
    if (failed.length > 0) continue;
    expect(state).toMatchObject({ instance_did: whole.instance_did });
    expect((state as State).records).toBeGreaterThanOrEqual(before);
  }
  over = true;
  await Promise.all(writers);
  expect(await daemon.end("SIGTERM")).toBe(0);
});

test("a copy that is torn between store and log is found out by doctor", async () => {
  using home = twinOf(closed);
  using copy = new ScratchHome();
  await using daemon = await Daemon.start(home);
  cpSync(join(home.env.SYNCROPEL_HOME!), copy.env.SYNCROPEL_HOME!, {
    recursive: true,
    filter: (path) => !path.endsWith(".sock"),
  });
  // Enough to move the log into the store and to begin the log anew.
  const large = { text: "x".repeat(100_000) };
  for (let n = 0; n < 300; n++)
    expect((await daemon.emit({ ...emission(n), body: { n, ...large } })).status).toBe(201);
  copyFileSync(`${pathsOf(home).db}-wal`, `${pathsOf(copy).db}-wal`);
  expect(await failedChecks(copy)).not.toEqual([]);
});

test("doctor beside starts and ends never meets a lock", async () => {
  using home = twinOf(killed);
  let over = false;
  const doctor = async () => {
    while (!over) expect(await failedChecks(home)).toEqual([]);
  };
  const doctors = [doctor(), doctor(), doctor()];
  for (let n = 0; n < (SLOW ? 200 : 12); n++) {
    await using daemon = await Daemon.start(home);
    await daemon.end(n % 2 === 0 ? "SIGKILL" : "SIGTERM");
  }
  over = true;
  await Promise.all(doctors);
  expect(await startOf(home)).toEqual(whole);
});

test("a disk that cannot be read fails by name, and the daemon outlives it", async () => {
  using home = twinOf(closed);
  await using daemon = await Daemon.start(home);
  {
    await using _ = await Strace.attach(daemon.pid, ...injecting("pread64", "error=EIO"));
    for (const path of ["/v1/threads", "/v1/threads/th_1"]) {
      const response = await daemon.fetch(path);
      expect([response.status, await response.json()]).toMatchObject([500, { code: "store_damaged" }]);
    }
    const out = `${home.path}/out.tar`;
    expect(await runSpl(["export", "--out", out], { home })).toMatchObject({ status: 6, stdout: "" });
  }
  expect(await stateOf(daemon)).toEqual(whole);
  expect((await daemon.emit(emission(0))).status).toBe(201);
  expect(await daemon.end("SIGTERM")).toBe(0);
});

test.skipIf(!canMount)(
  "a home on a disk that cannot be written is left alone, with a word on what to do",
  async () => {
    using home = new ScratchHome();
    using disk = new TinyDisk(home.env.SYNCROPEL_HOME!, 8192);
    twinOf(killed, home);
    disk.remount("ro");
    expect(await startOf(home)).toBe("file_unreadable");
    const started = await runSpl(["serve", "--daemon"], { home });
    expect(started).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringContaining("read-only file system"),
    });
    disk.remount("rw");
    expect(await startOf(home)).toEqual(whole);
  },
);

test("few file descriptors cost no more than connections", async () => {
  using home = twinOf(closed);
  await using daemon = await Daemon.start(home, { under: ["prlimit", "--nofile=32"] });
  const followers = await Promise.all(
    Array.from({ length: 60 }, () =>
      daemon
        .fetch("/v1/records?follow=true", {
          headers: { accept: "application/x-ndjson" },
          signal: AbortSignal.timeout(300),
        })
        .catch(() => null),
    ),
  );
  for (const follower of followers) await follower?.body?.cancel().catch(() => undefined);
  const since = performance.now();
  let answer = await daemon.fetch("/health").catch(() => null);
  while (answer?.status !== 200 && performance.now() - since < 5000) {
    answer = await daemon.fetch("/health").catch(() => null);
  }
  expect(answer?.status).toBe(200);
  expect((await daemon.emit(emission(0))).status).toBe(201);
  expect(await daemon.end("SIGTERM")).toBe(0);
});
