import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { Box } from "../kit/box.ts";
import { Daemon } from "../kit/daemon.ts";
import { runSpl, ScratchHome, twinOf } from "../kit/spl.ts";
import { inLanes, LIMIT_MS, spread } from "../kit/spread.ts";
import { callsIn, DISK_CALLS, killingAt, Strace, strikePoints } from "../kit/strace.ts";

/**
 * An import is killed at each of its system calls that touch the disk, and so are the starts of a daemon: what is
 * there afterwards is the instance before or the instance behind it, and a second try completes. SPL_SLOW_TESTS=1
 * takes every call, otherwise it is an even spread of them.
 */

setDefaultTimeout(LIMIT_MS);

/** A state that a home may be found in, as `spl status` tells it. */
type State = { instance_did: string; records: number; threads: number; digest: string };

let target: Box;
let bundle: string;
let before: State;
let after: State;
let exportedAfter: Buffer;
let importPoints: string[];

const importIt = (home: ScratchHome) => runSpl(["import", "--force-overwrite", bundle], { home });

async function stateOf(daemon: Daemon): Promise<State> {
  const { instance_did, records, threads, digest } = await daemon.json<State>("/v1/status");
  return { instance_did, records, threads, digest };
}

async function exportOf(home: ScratchHome): Promise<Buffer> {
  const out = join(home.path, "out.tar");
  expect(await runSpl(["export", "--force", "--out", out], { home })).toMatchObject({ status: 0 });
  return readFileSync(out);
}

function* records(n: number, text: string): Generator<object> {
  for (let i = 0; i < n; i++) {
    yield { thread: `th_${i % 3}`, actor: "did:sync:user:alice", act: "DO", body: { text: `${text} ${i}` } };
  }
}

beforeAll(async () => {
  target = new Box();
  await target.serve();
  await target.emit(records(5, "kept"));
  await target.stop();
  await using source = await Box.serving();
  await source.emit(records(40, "moved"));
  bundle = target.file("bundle.tar.zst");
  await source.ok("export", "--out", bundle);

  using home = twinOf(target.home);
  await using daemon = await Daemon.start(home);
  before = await stateOf(daemon);
  await using strace = await Strace.attach(daemon.pid, "-e", `trace=${DISK_CALLS}`);
  expect(await importIt(home)).toMatchObject({ status: 0 });
  importPoints = strikePoints(await strace.detach());
  after = await stateOf(daemon);
  exportedAfter = await exportOf(home);
});

afterAll(() => target[Symbol.asyncDispose]());

/** Nothing that only a running import needs, no key lost, and each where it belongs. */
function expectTidy({ paths: { keys, run } }: Daemon, { instance_did }: State): void {
  const current = `${instance_did.slice(-40)}.key`;
  expect(readdirSync(run).sort()).toEqual(["daemon.json", "lock", "spl.sock"]);
  expect(new Set(readdirSync(keys)).difference(new Set(["retired"]))).toEqual(
    new Set([current, "instance.key"]),
  );
  expect(readlinkSync(join(keys, "instance.key"))).toBe(current);
  const own = `${before.instance_did.slice(-40)}.key`;
  expect(existsSync(join(keys, own)) || existsSync(join(keys, "retired", own))).toBe(true);
}

/** Imports, and kills the daemon at `point`. False when the import never came there. */
async function killImport(home: ScratchHome, point: string): Promise<boolean> {
  await using daemon = await Daemon.start(home);
  await using _ = await Strace.attach(daemon.pid, ...killingAt(point));
  const { status } = await importIt(home);
  if (status === 0) return false;
  expect([await daemon.ended(), status]).toEqual([137, 3]);
  return true;
}

/** Starts the daemon again: it is sound, what it should be, and takes the bundle. */
async function recover(home: ScratchHome): Promise<"before" | "after"> {
  const since = performance.now();
  await using daemon = await Daemon.start(home);
  expect(performance.now() - since).toBeLessThan(5000);
  const state = await stateOf(daemon);
  expect([before, after]).toContainEqual(state);
  expectTidy(daemon, state);
  const doctor = await runSpl(["doctor", "--deep"], { home });
  // The bundle's records and those that were here claim the same positions.
  expect(doctor.stdout.match(/^(?:WARN|FAIL) +\w+/gm) ?? []).toEqual(
    state.records === before.records ? [] : ["WARN  forks"],
  );

  expect(await importIt(home)).toMatchObject({ status: 0 });
  expect(await stateOf(daemon)).toEqual(after);
  expectTidy(daemon, after);
  expect((await exportOf(home)).equals(exportedAfter)).toBe(true);
  expect(await daemon.end("SIGTERM")).toBe(0);
  return state.records === before.records ? "before" : "after";
}

test("an import killed at any moment leaves the instance before or behind it", async () => {
  let killed = 0;
  const found = new Set<string>();
  await inLanes(spread(importPoints, 16), async (point) => {
    using home = twinOf(target.home);
    if (await killImport(home, point)) killed++;
    found.add(await recover(home));
  });
  expect(killed).toBeGreaterThan(8);
  expect(found).toEqual(new Set(["before", "after"]));
});

/** Every call of a start in `home`. */
async function startPoints(home: ScratchHome): Promise<string[]> {
  const log = join(home.path, "calls");
  {
    await using daemon = await Daemon.start(home, {
      under: ["strace", "-f", "-o", log, "-e", `trace=${DISK_CALLS}`],
    });
    await daemon.end("SIGKILL");
  }
  return strikePoints(callsIn(log));
}

/** Starts a daemon that is killed at `point`, or in the end. */
async function killStart(home: ScratchHome, point: string): Promise<void> {
  const under = ["strace", "-f", "-qq", "-o", "/dev/null", ...killingAt(point)];
  const daemon = await Daemon.start(home, { under }).catch(() => null);
  await daemon?.end("SIGKILL");
}

test("a start that is killed while it mends a killed import can be repeated", async () => {
  using crashed = twinOf(target.home);
  // Behind the commit and before the keys are in their places.
  expect(await killImport(crashed, "symlink:1")).toBe(true);
  using traced = twinOf(crashed);
  const points = await startPoints(traced);
  await inLanes(spread(points, 6), async (point) => {
    using home = twinOf(crashed);
    await killStart(home, point);
    expect(await recover(home)).toBe("after");
  });
});

test("a first start that is killed can be repeated", async () => {
  using traced = new ScratchHome();
  const points = await startPoints(traced);
  await inLanes(spread(points, 10), async (point) => {
    using home = new ScratchHome();
    await killStart(home, point);
    await using daemon = await Daemon.start(home);
    expect(await daemon.json("/v1/status")).toMatchObject({ records: 0 });
    expect(readdirSync(daemon.paths.run).sort()).toEqual(["daemon.json", "lock", "spl.sock"]);
  });
});
