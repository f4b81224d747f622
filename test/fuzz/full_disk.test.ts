import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { Daemon } from "../kit/daemon.ts";
import { copyReleased } from "../kit/released.ts";
import { runSpl, ScratchHome, twinOf } from "../kit/spl.ts";
import { LIMIT_MS, SLOW, seeded, spread } from "../kit/spread.ts";
import { injecting, Strace } from "../kit/strace.ts";
import { canMount, TinyDisk } from "../kit/tiny_disk.ts";

/**
 * The disk runs full under the home, and under a file that is being written: one line, the right status, nothing has
 * changed, and all works again when there is space. SPL_SLOW_TESTS=1 tries an import with every amount of space left.
 */

setDefaultTimeout(LIMIT_MS);

const DISK_KIB = 8192;
const ONE_LINE = /^cannot write [^\n]+: no space left on the device; free some space[^\n]+\n$/;

/** An instance with some records; made once, used as copies. */
let template: ScratchHome;
/** A bundle of another instance, some 700 kB that hardly compress. */
let bundle: string;

beforeAll(async () => {
  template = new ScratchHome();
  using source = new ScratchHome();
  const random = seeded(3);
  for (const [home, n] of [
    [template, 10],
    [source, 100],
  ] as const) {
    await using daemon = await Daemon.start(home);
    for (let i = 0; i < n; i++) {
      const text = Array.from({ length: 1000 }, () => Math.floor(random() * 2 ** 32).toString(36)).join("");
      expect((await daemon.emit(emission(text))).status).toBe(201);
    }
    bundle = `${template.path}/bundle.tar.zst`;
    await runSpl(["export", "--force", "--out", bundle], { home });
    expect(await daemon.end("SIGTERM")).toBe(0);
  }
});

afterAll(() => template[Symbol.dispose]());

function emission(text: string): object {
  return { thread: "th_a", actor: "did:sync:user:alice", act: "DO", body: { text } };
}

/** A home on a disk of its own, with the template's instance in it. */
class SmallHome implements Disposable {
  readonly home = new ScratchHome();
  readonly disk = new TinyDisk(this.home.env.SYNCROPEL_HOME!, DISK_KIB);

  constructor() {
    twinOf(template, this.home);
  }

  [Symbol.dispose](): void {
    this.disk[Symbol.dispose]();
    this.home[Symbol.dispose]();
  }
}

function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

async function stateOf(daemon: Daemon): Promise<object> {
  const { instance_did, records, digest, forks } = await daemon.json("/v1/status");
  return { instance_did, records, digest, forks };
}

test.skipIf(!canMount)(
  "writing fails by name, reading goes on, an export elsewhere is possible, and space brings all back",
  async () => {
    using small = new SmallHome();
    const { home, disk } = small;
    await using daemon = await Daemon.start(home);
    const before = await stateOf(daemon);
    disk.fill();
    const refused = await daemon.emit(emission("too much"));
    expect(refused.status).toBe(507);
    expect(await refused.json()).toMatchObject({ code: "disk_full" });
    expect(await runSpl(["do", "too much"], { home })).toEqual({
      status: 1,
      stdout: "",
      stderr: expect.stringMatching(ONE_LINE),
    });
    const imported = await runSpl(["import", "--force-overwrite", bundle], { home });
    expect(imported).toMatchObject({ status: 1, stdout: "" });
    expect(imported.stderr.split("\n").slice(1).join("\n")).toMatch(ONE_LINE);
    expect(await stateOf(daemon)).toEqual(before);
    expect(await runSpl(["thread", "list"], { home })).toMatchObject({ status: 0, stderr: "" });
    const doctor = await runSpl(["doctor", "--deep"], { home });
    expect([doctor.status, doctor.stdout.match(/^(?:WARN|FAIL) +\w+/gm)]).toEqual([2, ["FAIL  disk"]]);
    expect(await runSpl(["export", "--out", `${home.path}/away.tar`], { home })).toMatchObject({ status: 0 });
    expect(readdirSync(daemon.paths.run).sort()).toEqual(["daemon.json", "lock", "spl.sock"]);

    disk.relieve();
    expect((await daemon.emit(emission("enough room"))).status).toBe(201);
    expect(await runSpl(["import", "--force-overwrite", bundle], { home })).toMatchObject({ status: 0 });
    expect(await daemon.end("SIGTERM")).toBe(0);
  },
);

test.skipIf(!canMount)(
  "an export onto a full disk leaves no file, and does not disturb the daemon",
  async () => {
    using home = twinOf(template);
    using disk = new TinyDisk(`${home.path}/stick`, 64);
    await using daemon = await Daemon.start(home);
    const out = `${disk.path}/out.tar`;
    const { status, stdout, stderr } = await runSpl(["export", "--out", out], { home });
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr.split("\n").slice(1).join("\n")).toMatch(ONE_LINE);
    expect(readdirSync(disk.path)).toEqual([]);
    expect(await runSpl(["export", "--out", `${home.path}/out.tar`], { home })).toMatchObject({ status: 0 });
    expect(await daemon.end("SIGTERM")).toBe(0);
  },
);

test.skipIf(!canMount)("an import with any amount of space left is done or has changed nothing", async () => {
  const steps = Array.from({ length: SLOW ? 120 : 60 }, (_, n) => n * (SLOW ? 32 : 64));
  const outcomes = new Set<string>();
  for (const leftKib of spread(steps, 12)) {
    using small = new SmallHome();
    const { home, disk } = small;
    await using daemon = await Daemon.start(home);
    const before = await stateOf(daemon);
    disk.fill(leftKib);
    const { status, stderr } = await runSpl(["import", "--force-overwrite", bundle], { home });
    const after = await stateOf(daemon);
    outcomes.add(status === 0 ? "done" : "refused");
    if (status === 0) expect({ leftKib, ...after }).toMatchObject({ leftKib, records: 110 });
    else {
      expect({ leftKib, status, ...after }).toEqual({ leftKib, status: 1, ...before });
      expect(stderr.split("\n").slice(1).join("\n")).toMatch(ONE_LINE);
    }
    expect(readdirSync(daemon.paths.run).sort()).toEqual(["daemon.json", "lock", "spl.sock"]);

    // A restart in the same need, then relief.
    await daemon.end("SIGKILL");
    await using tight = await Daemon.start(home).catch((error) => {
      expect(JSON.parse((error as Error).message)).toMatchObject({ code: "disk_full" });
      return null;
    });
    if (tight) expect(await stateOf(tight)).toEqual(after);
    await tight?.end("SIGTERM");
    disk.relieve();
    await using relieved = await Daemon.start(home);
    expect(await stateOf(relieved)).toEqual(after);
    expect(await runSpl(["import", "--force-overwrite", bundle], { home })).toMatchObject({ status: 0 });
    expect(await stateOf(relieved)).toMatchObject({ records: 110 });
    // The bundle's thread and the one that is here share their beginning.
    const doctor = await runSpl(["doctor"], { home });
    expect([doctor.status, doctor.stdout.match(/^(?:WARN|FAIL) +\w+/gm)]).toEqual([1, ["WARN  forks"]]);
  }
  expect(outcomes).toEqual(new Set(["refused", "done"]));
});

test.skipIf(!canMount)(
  "a rollback with any amount of space left is done or has changed nothing",
  async () => {
    using imported = twinOf(template);
    {
      await using daemon = await Daemon.start(imported);
      expect(await runSpl(["import", "--force-overwrite", bundle], { home: imported })).toMatchObject({
        status: 0,
      });
      expect(await daemon.end("SIGTERM")).toBe(0);
    }
    const steps = Array.from({ length: SLOW ? 120 : 60 }, (_, n) => n * (SLOW ? 4 : 8));
    const outcomes = new Set<string>();
    for (const leftKib of spread(steps, 10)) {
      using home = new ScratchHome();
      using disk = new TinyDisk(home.env.SYNCROPEL_HOME!, DISK_KIB);
      twinOf(imported, home);
      await using daemon = await Daemon.start(home);
      const before = await stateOf(daemon);
      disk.fill(leftKib);
      const { status, stderr } = await runSpl(["rollback", "--yes"], { home });
      const after = await stateOf(daemon);
      outcomes.add(status === 0 ? "done" : "refused");
      if (status === 0) expect({ leftKib, ...after }).toMatchObject({ leftKib, records: 10 });
      else {
        expect({ leftKib, status, ...after }).toEqual({ leftKib, status: 1, ...before });
        expect(stderr).toMatch(ONE_LINE);
        // A copy of what was not removed would only take more room.
        expect(filesIn(home.env.XDG_DATA_HOME!)).toEqual([]);
      }
      await daemon.end("SIGKILL");
      disk.relieve();
      await using relieved = await Daemon.start(home);
      expect(await stateOf(relieved)).toEqual(after);
      const again = await runSpl(["rollback", "--yes"], { home });
      expect(again.status).toBe(status === 0 ? 1 : 0);
      expect(await stateOf(relieved)).toMatchObject({ records: 10 });
    }
    expect(outcomes).toEqual(new Set(["refused", "done"]));
  },
);

test.skipIf(!canMount)(
  "a rollback whose copy finds no room has changed nothing, and says where the copy goes",
  async () => {
    using home = twinOf(template);
    using disk = new TinyDisk(home.env.XDG_DATA_HOME!, 1024);
    await using daemon = await Daemon.start(home);
    expect(await runSpl(["import", "--force-overwrite", bundle], { home })).toMatchObject({ status: 0 });
    const before = await stateOf(daemon);
    disk.fill(300);
    const refused = await runSpl(["rollback", "--yes"], { home });
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toMatch(ONE_LINE);
    expect(refused.stderr).toContain(disk.path);
    expect(await stateOf(daemon)).toEqual(before);
    disk.relieve();
    expect(filesIn(disk.path)).toEqual([]);
    expect(await runSpl(["rollback", "--yes"], { home })).toMatchObject({ status: 0 });
    expect(await stateOf(daemon)).toMatchObject({ records: 10 });
    expect(await daemon.end("SIGTERM")).toBe(0);
  },
);

test.skipIf(!canMount)("a restore with any amount of space left is done or has left nothing", async () => {
  const steps = Array.from({ length: 60 }, (_, n) => n * 64);
  const outcomes = new Set<string>();
  for (const leftKib of spread(steps, 10)) {
    using home = new ScratchHome();
    using disk = new TinyDisk(`${home.path}/disk`, DISK_KIB);
    const restored = `${disk.path}/home`;
    disk.fill(leftKib);
    const { status, stderr } = await runSpl(["restore", bundle, "--home", restored], { home });
    outcomes.add(status === 0 ? "done" : "refused");
    if (status !== 0) {
      expect({ leftKib, status, files: readdirSync(disk.path) }).toEqual({
        leftKib,
        status: 1,
        files: ["ballast"],
      });
      expect(stderr.split("\n").slice(1).join("\n")).toMatch(
        /^cannot [^\n]+: no space left on the device; [^\n]+\n$/,
      );
    }
    disk.relieve();
    if (status !== 0) {
      const again = await runSpl(["restore", bundle, "--home", restored], { home });
      expect(again).toMatchObject({ status: 0 });
    }
    home.env.SYNCROPEL_HOME = restored;
    await using daemon = await Daemon.start(home);
    expect(await stateOf(daemon)).toMatchObject({ records: 100 });
    expect(await daemon.end("SIGTERM")).toBe(0);
  }
  expect(outcomes).toEqual(new Set(["refused", "done"]));
});

test.skipIf(!canMount)("a store is upgraded where its copy finds room, or left as it is", async () => {
  const outcomes = new Set<string>();
  for (const leftKib of spread(
    Array.from({ length: 60 }, (_, n) => n * 8),
    8,
  )) {
    using home = new ScratchHome();
    using disk = new TinyDisk(home.env.SYNCROPEL_HOME!, 2048);
    copyReleased("0.33.0-schema-3", disk.path);
    const bytes = readFileSync(`${disk.path}/hub.db`);
    disk.fill(leftKib);
    await using tight = await Daemon.start(home).catch((error) => {
      expect(JSON.parse((error as Error).message)).toMatchObject({ code: "disk_full" });
      return null;
    });
    outcomes.add(tight ? "upgraded" : "refused");
    if (!tight) {
      // What was begun of the copy is gone, and the store is the one that the release before can open.
      expect(filesIn(disk.path).filter((name) => name.endsWith(".tmp"))).toEqual([]);
      const copies = filesIn(disk.path).filter((name) => name.endsWith(".bak"));
      if (copies.length === 0) expect(readFileSync(`${disk.path}/hub.db`).equals(bytes)).toBe(true);
    }
    await tight?.end("SIGTERM");
    disk.relieve();
    await using relieved = await Daemon.start(home);
    expect(await stateOf(relieved)).toMatchObject({ records: 5 });
    expect(await relieved.end("SIGTERM")).toBe(0);
  }
  expect(outcomes).toEqual(new Set(["refused", "upgraded"]));
});

test.skipIf(!canMount)("a home is not made on a full disk, and is made there later", async () => {
  const steps = Array.from({ length: 60 }, (_, n) => n * 4);
  for (const leftKib of spread(steps, 6)) {
    using home = new ScratchHome();
    using disk = new TinyDisk(home.env.SYNCROPEL_HOME!, 1024);
    disk.fill(leftKib);
    const { status, stdout, stderr } = await runSpl(["init"], { home });
    if (status !== 0) {
      expect({ leftKib, status, stdout }).toEqual({ leftKib, status: 1, stdout: "" });
      expect(stderr).toMatch(/^cannot [^\n]+: no space left on the device; [^\n]+\n$/);
    }
    disk.relieve();
    await using daemon = await Daemon.start(home);
    expect(await stateOf(daemon)).toMatchObject({ records: 0 });
    await daemon.end("SIGTERM");
  }
});

test("the store's disk fails to take a write, once", async () => {
  using home = twinOf(template);
  await using daemon = await Daemon.start(home);
  const before = await stateOf(daemon);
  {
    await using _ = await Strace.attach(daemon.pid, ...injecting("pwrite64", "error=ENOSPC:when=3"));
    expect(await (await daemon.emit(emission("lost"))).json()).toMatchObject({
      status: 507,
      code: "disk_full",
    });
  }
  expect(await stateOf(daemon)).toEqual(before);
  expect((await daemon.emit(emission("kept"))).status).toBe(201);
});
