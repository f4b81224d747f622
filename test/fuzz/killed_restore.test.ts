import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { homePaths } from "../../lib/base/home.ts";
import { SCHEMA_VERSION } from "../../lib/store/schema.ts";
import { Box } from "../kit/box.ts";
import { Daemon } from "../kit/daemon.ts";
import { copyReleased, RELEASES } from "../kit/released.ts";
import { runSpl, ScratchHome } from "../kit/spl.ts";
import { inLanes, LIMIT_MS, spread } from "../kit/spread.ts";
import { callsIn, DISK_CALLS, killingAt, strikePoints } from "../kit/strace.ts";

/**
 * A restore, and the start that brings a store of an earlier release up to date, are killed at each of their system calls
 * that touch the disk: nothing is there or all is, and a second try completes. SPL_SLOW_TESTS=1 takes every call.
 */

setDefaultTimeout(LIMIT_MS);

let source: Box;
let bundle: string;
let whole: { instance_did: string; records: number; digest: string };

beforeAll(async () => {
  source = await Box.serving();
  await source.emit(
    Array.from({ length: 40 }, (_, i) => ({
      thread: `th_${i % 3}`,
      act: "DO",
      body: { text: `record ${i}` },
    })),
  );
  const { instance_did, records, digest } = await source.json<typeof whole>("status");
  whole = { instance_did, records, digest };
  bundle = source.file("bundle.tar.zst");
  await source.ok("export", "--out", bundle);
  await source.stop();
});
afterAll(() => source[Symbol.asyncDispose]());

const watching = (log: string) => ["strace", "-f", "-o", log, "-e", `trace=${DISK_CALLS}`];
const killing = (point: string) => ["strace", "-f", "-qq", "-o", "/dev/null", ...killingAt(point)];

test("a restore killed at any moment left nothing or a whole home, and can be repeated", async () => {
  using traced = new ScratchHome();
  const log = join(traced.path, "calls");
  expect(await runSpl(["restore", bundle], { home: traced, under: watching(log) })).toMatchObject({
    status: 0,
  });
  const found = new Set<string>();
  await inLanes(spread(strikePoints(callsIn(log)), 16), async (point) => {
    using home = new ScratchHome();
    const { db, run, keys } = homePaths(home.env.SYNCROPEL_HOME!);
    const { status } = await runSpl(["restore", bundle], { home, under: killing(point) });
    expect([0, 137]).toContain(status);
    const made = existsSync(db);
    found.add(made ? "whole" : "nothing");
    expect(await runSpl(["restore", bundle], { home })).toMatchObject({ status: made ? 5 : 0 });
    await using daemon = await Daemon.start(home);
    expect(await daemon.json("/v1/status")).toMatchObject(whole);
    expect(readdirSync(run).sort()).toEqual(["daemon.json", "lock", "spl.sock"]);
    expect(readdirSync(keys).filter((name) => name.endsWith(".key"))).toHaveLength(2);
    expect(await runSpl(["doctor", "--deep"], { home })).toMatchObject({ status: 0, stderr: "" });
    expect(await daemon.end("SIGTERM")).toBe(0);
  });
  expect(found).toEqual(new Set(["nothing", "whole"]));
});

test("a start that is killed while it upgrades a store can be repeated; a copy that is there is whole", async () => {
  const release = RELEASES[0]!;
  const schema = Number(release.split("-").at(-1));
  using traced = new ScratchHome();
  copyReleased(release, homePaths(traced.env.SYNCROPEL_HOME!).home);
  const log = join(traced.path, "calls");
  let held: object;
  {
    await using daemon = await Daemon.start(traced, { under: watching(log) });
    const { instance_did, records, digest } = await daemon.json<typeof whole>("/v1/status");
    held = { instance_did, records, digest };
    await daemon.end("SIGKILL");
  }
  await inLanes(spread(strikePoints(callsIn(log)), 12), async (point) => {
    using home = new ScratchHome();
    const folder = homePaths(home.env.SYNCROPEL_HOME!).home;
    copyReleased(release, folder);
    const killed = await Daemon.start(home, { under: killing(point) }).catch(() => null);
    await killed?.end("SIGKILL");
    await using daemon = await Daemon.start(home);
    expect(await daemon.json("/v1/status")).toMatchObject(held);
    // It warns that there is no backup of it, and of nothing that is broken.
    const { status, stdout } = await runSpl(["doctor", "--deep"], { home });
    expect([status, stdout]).toEqual([1, expect.not.stringMatching(/^FAIL|^WARN {2}(?!backup|drill)/m)]);
    expect(await daemon.end("SIGTERM")).toBe(0);
    const copies = readdirSync(folder).filter((name) => name.startsWith("hub.db.v"));
    expect(copies.length).toBeGreaterThan(0);
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    for (const copy of copies) {
      expect(copy).toStartWith(`hub.db.v${schema}-`);
      using old = new ScratchHome();
      copyReleased(release, homePaths(old.env.SYNCROPEL_HOME!).home);
      await Bun.write(homePaths(old.env.SYNCROPEL_HOME!).db, Bun.file(join(folder, copy)));
      await using opened = await Daemon.start(old);
      expect(await opened.json("/v1/status")).toMatchObject(held);
      await opened.end("SIGTERM");
    }
  });
  expect(schema).toBeLessThan(SCHEMA_VERSION);
});
