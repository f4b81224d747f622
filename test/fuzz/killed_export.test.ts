import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, watch } from "node:fs";
import { basename } from "node:path";
import { Daemon, statusOf } from "../kit/daemon.ts";
import { type RunResult, runSpl, ScratchHome, splBinary, twinOf } from "../kit/spl.ts";
import { inLanes, LIMIT_MS, seeded, spread } from "../kit/spread.ts";
import { callsIn, DISK_CALLS, injecting, killingAt, Strace, strikePoints } from "../kit/strace.ts";

/**
 * An export ends in the middle, by a kill of the command or of the daemon: under the final name there is no file, or one
 * that verifies. SPL_SLOW_TESTS=1 takes every moment, otherwise it is an even spread of them.
 */

setDefaultTimeout(LIMIT_MS);

let template: ScratchHome;
let home: ScratchHome;
let daemon: Daemon;

/** Some 4 MB that hardly compress: several messages on every way that a bundle takes. */
beforeAll(async () => {
  template = new ScratchHome();
  {
    await using filling = await Daemon.start(template);
    await fill(filling, 7);
    await filling.end("SIGTERM");
  }
  home = twinOf(template);
  daemon = await Daemon.start(home);
});

afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  home[Symbol.dispose]();
  template[Symbol.dispose]();
});

/** Emits so many records of some 560 kB each. */
async function fill(filling: Daemon, records: number): Promise<void> {
  const random = seeded(7);
  for (let n = 0; n < records; n++) {
    const text = Array.from({ length: 90_000 }, () => Math.floor(random() * 2 ** 32).toString(36)).join("");
    const emission = { thread: `th_${n % 2}`, actor: "did:sync:user:alice", act: "DO", body: { text } };
    expect((await filling.emit(emission)).status).toBe(201);
  }
}

/** `spl export` to a file in a folder of its own, under strace with these options. */
async function exportUnder(
  strace: string[],
  inspect: (result: RunResult, files: string[]) => Promise<void>,
): Promise<void> {
  using folder = new ScratchHome();
  const under = strace.length === 0 ? [] : ["strace", "-f", "-qq", "-o", "/dev/null", ...strace];
  const out = `${folder.path}/out.tar.zst`;
  const result = await runSpl(["export", "--out", out], { home, under });
  await inspect(result, readdirSync(folder.path));
  if (readdirSync(folder.path).includes(basename(out))) {
    expect(await runSpl(["verify", out], { home })).toMatchObject({ status: 0 });
  }
}

/** What the surviving daemon keeps of exports that nobody takes any more: nothing, not even one of its four places. */
async function expectExportsToWork(): Promise<void> {
  for (let n = 0; n < 5; n++) await exportUnder([], async ({ status }) => expect(status).toBe(0));
  expect(readdirSync(daemon.paths.run).sort()).toEqual(["daemon.json", "lock", "spl.sock"]);
}

test("the command is killed at any moment", async () => {
  using folder = new ScratchHome();
  const log = `${folder.path}/calls`;
  const under = ["strace", "-f", "-o", log, "-e", `trace=${DISK_CALLS}`];
  expect(await runSpl(["export", "--out", `${folder.path}/out.tar.zst`], { home, under })).toMatchObject({
    status: 0,
  });
  const finals: boolean[] = [];
  await inLanes(spread(strikePoints(callsIn(log)), 14), (point) =>
    exportUnder(killingAt(point), async ({ status }, files) => {
      expect([0, 137]).toContain(status);
      finals.push(files.includes("out.tar.zst"));
    }),
  );
  expect(new Set(finals)).toEqual(new Set([true, false]));
  await expectExportsToWork();
});

for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  test(`the command waits for the rest of the file and is ended by ${signal}: nothing is left of it`, async () => {
    using folder = new ScratchHome();
    // The daemon stands still with the first part of the bundle.
    await using strace = await Strace.attach(daemon.pid, ...injecting("sendmsg", "signal=SIGSTOP:when=1"));
    const begun = Promise.withResolvers<void>();
    const watcher = watch(folder.path, (_, name) => name?.endsWith(".tmp") && begun.resolve());
    const child = Bun.spawn([splBinary(), "export", "--out", `${folder.path}/out.tar.zst`], {
      env: home.env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    await begun.promise;
    watcher.close();
    child.kill(signal);
    await child.exited;
    await strace.detach();
    process.kill(daemon.pid, "SIGCONT");
    expect([statusOf(child), await child.stdout.text(), readdirSync(folder.path)]).toEqual([status, "", []]);
  });
}

test("the daemon is killed while the file is on its way: one line, status 3, no file", async () => {
  const sending = ["-e", "trace=sendto,sendmsg"];
  await using strace = await Strace.attach(daemon.pid, ...sending);
  await exportUnder([], async ({ status }) => expect(status).toBe(0));
  const points = strikePoints(await strace.detach());
  let killed = 0;
  await inLanes(spread(points, 6), async (point) => {
    using own = twinOf(template);
    await using victim = await Daemon.start(own);
    await using _ = await Strace.attach(victim.pid, ...killingAt(point));
    const out = `${own.path}/out.tar.zst`;
    const { status, stdout, stderr } = await runSpl(["export", "--out", out], { home: own });
    // Where the connection took more at a time, the last of these calls are not reached.
    if (status === 0) return;
    killed++;
    expect([point, status, stdout]).toEqual([point, 3, ""]);
    expect(stderr.trim().split("\n")).toHaveLength(2);
    expect(readdirSync(own.path)).toEqual(["syncro"]);
    expect(await victim.ended()).toBe(137);
  });
  expect(killed).toBeGreaterThan(2);
});

test("downloads end while the daemon makes their next part: their places are free, and a stop is quick", async () => {
  using own = twinOf(template);
  await using busy = await Daemon.start(own);
  await fill(busy, 20);
  const begin = async () => {
    const since = performance.now();
    // gzip takes longer to make than to send: the daemon does not wait for the reader.
    let response = await busy.fetch("/v1/export?compression=gz");
    while (response.status === 503 && performance.now() - since < 2000) {
      response = await busy.fetch("/v1/export?compression=gz");
    }
    expect(response.status).toBe(200);
    const reader = response.body!.getReader();
    for (let size = 0; size < 2_000_000; ) size += (await reader.read()).value!.length;
    return reader;
  };
  for (let n = 0; n < 5; n++) await (await begin()).cancel();
  const reader = await begin();
  const ended = busy.end("SIGTERM");
  const rest = async () => {
    while (!(await reader.read()).done);
  };
  await expect(rest()).rejects.toThrow();
  expect(await ended).toBe(0);
}, 20_000);
