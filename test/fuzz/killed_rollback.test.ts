import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { Box, type Held, heldOf } from "../kit/box.ts";
import { Daemon } from "../kit/daemon.ts";
import { runSpl, type ScratchHome, twinOf } from "../kit/spl.ts";
import { inLanes, LIMIT_MS, spread } from "../kit/spread.ts";
import { callsIn, DISK_CALLS, killingAt, Strace, strikePoints } from "../kit/strace.ts";

/**
 * A rollback is killed at each of its system calls that touch the disk, with its daemon and without one: what is there
 * afterwards is the instance as the import left it or as it was before, and a second try completes. SPL_SLOW_TESTS=1
 * takes every call, otherwise it is an even spread of them.
 */

setDefaultTimeout(LIMIT_MS);

/** A home that has taken in another instance's bundle, and wrote on. */
let target: Box;
let before: Held;
let after: Held;

async function stateOf(daemon: Daemon): Promise<Held> {
  return heldOf(await daemon.json<Held>("/v1/status"));
}

function* records(n: number, text: string): Generator<object> {
  for (let i = 0; i < n; i++) {
    yield { thread: `th_${i % 3}`, actor: "did:sync:user:alice", act: "DO", body: { text: `${text} ${i}` } };
  }
}

beforeAll(async () => {
  target = await Box.serving();
  await target.emit(records(5, "kept"));
  before = heldOf(await target.json<Held>("status"));
  await using source = await Box.serving();
  await source.emit(records(40, "moved"));
  await source.ok("export", "--out", target.file("bundle.tar.zst"));
  await target.ok("import", "--force-overwrite", target.file("bundle.tar.zst"));
  await target.emit(records(3, "since"));
  after = heldOf(await target.json<Held>("status"));
  await target.stop();
});

afterAll(() => target[Symbol.asyncDispose]());

const rollBack = (home: ScratchHome, flags: string[] = [], under: string[] = []) =>
  runSpl(["rollback", "--yes", ...flags], { home, under });

/** The copies that are there under their names. */
function copiesIn(home: ScratchHome): string[] {
  const folder = home.env.XDG_DATA_HOME!;
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".tmp"))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** No key is lost, and each is where it belongs. */
function expectTidy({ paths: { keys, run } }: Daemon, { instance_did }: Held): void {
  const [own, adopted] = [before, after].map((state) => `${state.instance_did.slice(-40)}.key`);
  const current = `${instance_did.slice(-40)}.key`;
  expect(readdirSync(run).sort()).toEqual(["daemon.json", "lock", "spl.sock"]);
  expect(readdirSync(keys).sort()).toEqual([current, "instance.key", "retired"].sort());
  expect(readlinkSync(join(keys, "instance.key"))).toBe(current);
  expect(readdirSync(join(keys, "retired"))).toEqual([current === own ? adopted! : own!]);
}

/** Starts the daemon again: it is sound, one of the two, and can be rolled back if it was not. */
async function recover(home: ScratchHome): Promise<"before" | "after"> {
  await using daemon = await Daemon.start(home);
  const state = await stateOf(daemon);
  expect([before, after]).toContainEqual(state);
  expectTidy(daemon, state);
  const undone = state.records === before.records;
  // What came in claims positions that were taken; there is nothing else to tell.
  const { status, stdout } = await runSpl(["doctor", "--deep"], { home });
  const told = undone ? [0, []] : [1, ["forks"]];
  expect([status, [...stdout.matchAll(/^(?:FAIL|WARN) +(\S+)/gm)].map(([, row]) => row)]).toEqual(told);
  // Before anything is removed, all of it is in a copy that is whole.
  if (undone) expect(copiesIn(home)).not.toEqual([]);
  for (const copy of copiesIn(home)) {
    const read = await runSpl(["verify", copy, "-o", "json"], { home });
    expect(JSON.parse(read.stdout)).toMatchObject({ record_count: after.records, digest: after.digest });
  }
  const again = await rollBack(home);
  expect([undone, again.status]).toEqual([undone, undone ? 1 : 0]);
  expect(await stateOf(daemon)).toEqual(before);
  expectTidy(daemon, before);
  const files = readdirSync(home.env.XDG_DATA_HOME!, { recursive: true }).map(String);
  if (!undone) expect(files.filter((name) => name.endsWith(".tmp"))).toEqual([]);
  expect((await daemon.emit({ thread: "th_0", act: "DO", actor: "did:sync:user:a", body: {} })).status).toBe(
    201,
  );
  expect(await daemon.end("SIGTERM")).toBe(0);
  return undone ? "before" : "after";
}

test("a rollback by the daemon killed at any moment leaves the instance as it was or as it was before", async () => {
  using traced = twinOf(target.home);
  const points = await (async () => {
    await using daemon = await Daemon.start(traced);
    await using strace = await Strace.attach(daemon.pid, "-e", `trace=${DISK_CALLS}`);
    expect(await rollBack(traced)).toMatchObject({ status: 0 });
    return strikePoints(await strace.detach());
  })();
  let killed = 0;
  const found = new Set<string>();
  await inLanes(spread(points, 14), async (point) => {
    using home = twinOf(target.home);
    {
      await using daemon = await Daemon.start(home);
      await using _ = await Strace.attach(daemon.pid, ...killingAt(point));
      const { status } = await rollBack(home);
      if (status !== 0) {
        expect([await daemon.ended(), status]).toEqual([137, 3]);
        killed++;
      }
    }
    found.add(await recover(home));
  });
  expect(killed).toBeGreaterThan(6);
  expect(found).toEqual(new Set(["before", "after"]));
});

test("and so does one without a daemon", async () => {
  using traced = twinOf(target.home);
  const log = join(traced.path, "calls");
  const under = ["strace", "-f", "-o", log, "-e", `trace=${DISK_CALLS}`];
  expect(await rollBack(traced, ["--offline"], under)).toMatchObject({ status: 0 });
  const found = new Set<string>();
  await inLanes(spread(strikePoints(callsIn(log)), 10), async (point) => {
    using home = twinOf(target.home);
    const { status } = await rollBack(
      home,
      ["--offline"],
      ["strace", "-f", "-qq", "-o", "/dev/null", ...killingAt(point)],
    );
    expect([0, 137]).toContain(status);
    found.add(await recover(home));
  });
  expect(found).toEqual(new Set(["before", "after"]));
});
