import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { homePaths } from "../../../lib/base/home.ts";
import { eventText, type Facts } from "../../../lib/base/log_line.ts";
import type { Machine, Step } from "../../../lib/hosting/types.ts";
import { ProcessDriver } from "../../../server/hosting/process_driver.ts";
import { Daemon } from "../../kit/daemon.ts";
import { ScratchHome, splBinary } from "../../kit/spl.ts";
import { until } from "../../kit/until.ts";

/** Instances as processes: the compiled program, and programs that do what it must never do. */

let home: ScratchHome;
let drivers: ProcessDriver[];
let logged: string[];

beforeEach(() => {
  home = new ScratchHome();
  drivers = [];
  logged = [];
});
afterEach(async () => {
  for (const driver of drivers) await driver.stop();
  home[Symbol.dispose]();
});

/** As a service that has just started makes it. */
function driverOf(command: readonly string[] = [splBinary()]): ProcessDriver {
  const driver = new ProcessDriver({
    folder: join(home.path, "instances"),
    command,
    directory: "http://127.0.0.1:1",
    allowNetworks: [],
    log: (event: string, facts: Facts = {}) => logged.push(eventText(event, facts)),
  });
  drivers.push(driver);
  return driver;
}

const MACHINE: Machine = {
  id: "00112233445566ff",
  label: "myteam",
  url: "http://myteam.localhost:9200",
  plan: { name: "free", cpus: 1, memory_mb: 256, disk_gb: 1 },
};

function step(signal: AbortSignal = AbortSignal.timeout(60_000)): Step {
  return { machine: MACHINE, handles: {}, note: async (handles) => handles, signal };
}

function paths() {
  return homePaths(join(home.path, "instances", MACHINE.id));
}

async function made(driver: ProcessDriver): Promise<void> {
  await driver.volume(step());
  await driver.machine(step());
  await driver.boot(step());
}

/** A program as a shell script; what it gets as arguments is that of `spl`. */
function script(text: string): string[] {
  const path = join(home.path, "program");
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o700);
  return [path];
}

/** Processes that run on the instance's home. */
function processes(): number[] {
  const own = `SYNCROPEL_HOME=${paths().home}`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(own);
      } catch {
        return false;
      }
    })
    .map(Number);
}

async function origin(driver: ProcessDriver): Promise<string | null> {
  return (await driver.address(MACHINE, {}))?.origin ?? null;
}

async function healthy(driver: ProcessDriver): Promise<boolean> {
  return (await fetch(`${await origin(driver)}/health`)).ok;
}

test("from nothing to nothing; each step may be taken twice", async () => {
  const driver = driverOf();
  for (let i = 0; i < 2; i++) await driver.volume(step());
  for (let i = 0; i < 2; i++) await driver.machine(step());
  expect(await origin(driver)).toBeNull();
  for (let i = 0; i < 2; i++) await driver.boot(step());
  expect(await healthy(driver)).toBe(true);
  expect(processes()).toHaveLength(1);
  expect(await driver.mintBootstrap(step())).toMatch(/^spl_boot_/);
  for (let i = 0; i < 2; i++) await driver.sleep(step());
  expect([await origin(driver), processes()]).toEqual([null, []]);
  await driver.wake(step());
  expect(await healthy(driver)).toBe(true);
  for (let i = 0; i < 2; i++) await driver.destroy(step());
  expect([readdirSync(driver.options.folder), processes()]).toEqual([[], []]);
});

test("folders are open to their owner only, and nothing of the service's surroundings is in the process", async () => {
  process.env.SPL_MARKER_FOR_TEST = "never-to-be-seen";
  try {
    const driver = driverOf();
    await made(driver);
    const [pid] = processes();
    const environ = readFileSync(`/proc/${pid}/environ`, "utf8");
    expect(
      environ
        .split("\0")
        .filter(Boolean)
        .map((pair) => pair.split("=")[0])
        .sort(),
    ).toEqual(["HOME", "PATH", "SYNCROPEL_HOME"]);
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).not.toContain("spl_boot");
  } finally {
    delete process.env.SPL_MARKER_FOR_TEST;
  }
});

describe("a process that ends by itself", () => {
  test("is started again at the same port, with the same records", async () => {
    const driver = driverOf();
    await made(driver);
    const [before, [pid]] = [await origin(driver), processes()];
    process.kill(pid!, "SIGKILL");
    await until(
      async () => processes()[0],
      (now) => now !== undefined && now !== pid,
    );
    await driver.wake(step());
    expect(await origin(driver)).toBe(before);
    expect(await healthy(driver)).toBe(true);
  });

  test("again and again waits longer each time", async () => {
    const driver = driverOf(script("echo '{\"port\":1}'; exit 1"));
    await driver.volume(step());
    await driver.boot(step());
    await until(
      async () => logged.filter((line) => line.startsWith("instance-died")),
      (died) => died.length >= 5,
    );
    const waits = logged.flatMap((line) => (/wait_ms=(\d+)/.exec(line) ?? []).slice(1).map(Number));
    expect(waits.slice(0, 5)).toEqual([0, 0, 500, 1000, 2000]);
    await driver.sleep(step());
    expect(processes()).toEqual([]);
  });

  test("before it answers costs no process for each request", async () => {
    const program = script(
      `echo run >> ${home.path}/runs; echo '{"detail":"the store is damaged at /srv/x"}' >&2; exit 1`,
    );
    const driver = driverOf(program);
    await driver.volume(step());
    const messages = new Set<string>();
    let last = "";
    for (let i = 0; i < 30; i++) {
      last = await driver.wake(step()).then(String, (error: Error) => error.message);
      messages.add(last);
      if (last.includes("keeps ending")) break;
    }
    expect([...messages]).toEqual(["the instance does not start", "the instance keeps ending by itself"]);
    const runs = readFileSync(`${home.path}/runs`, "utf8").split("\n").length;
    for (let i = 0; i < 30; i++) await driver.wake(step()).catch(() => undefined);
    expect(readFileSync(`${home.path}/runs`, "utf8").split("\n").length).toBe(runs);
  });
});

describe("the deadline", () => {
  test("of a boot ends a process that never answers", async () => {
    const driver = driverOf(script("exec sleep 1000"));
    await driver.volume(step());
    const deadline = new AbortController();
    const boot = driver.boot(step(deadline.signal));
    await until(
      async () => processes(),
      (found) => found.length === 1,
    );
    deadline.abort(new DOMException("late", "TimeoutError"));
    expect(await boot.then(String, (error: Error) => error.name)).toBe("TimeoutError");
    expect(processes()).toEqual([]);
  });

  test("of a bootstrap token holds for an instance that hangs", async () => {
    const driver = driverOf();
    await made(driver);
    const [pid] = processes();
    process.kill(pid!, "SIGSTOP");
    try {
      const minted = driver.mintBootstrap(step(AbortSignal.timeout(50)));
      expect(await minted.then(String, (error: Error) => error.name)).toBe("TimeoutError");
    } finally {
      process.kill(pid!, "SIGCONT");
    }
  });

  test("is not waited for by who stops it", async () => {
    const driver = driverOf(script("exec sleep 1000"));
    await driver.volume(step());
    const boot = driver.boot(step()).then(String, ({ code }: { code: string }) => code);
    await until(
      async () => processes(),
      (found) => found.length === 1,
    );
    await driver.stop();
    expect([await boot, processes()]).toEqual(["hosting_unavailable", []]);
  });
});

describe("the next service", () => {
  test("takes over what runs, notices when it ends, and can end it", async () => {
    const first = driverOf();
    await made(first);
    await first.sleep(step());
    // Of a service that is gone: nobody else notices its end.
    await using left = await Daemon.start(home, { env: { SYNCROPEL_HOME: paths().home } });
    const next = driverOf();
    expect(await healthy(next)).toBe(true);
    await next.wake(step());
    expect(processes()).toEqual([left.pid]);
    await left.end("SIGKILL");
    await next.wake(step());
    expect(await healthy(next)).toBe(true);
    expect(processes()).toHaveLength(1);
    await next.sleep(step());
    expect(processes()).toEqual([]);
  });

  test("takes over what is only starting: there is never a second process", async () => {
    const first = driverOf();
    await first.volume(step());
    await first.machine(step());
    for (let round = 0; round < 3; round++) {
      const left = first.boot(step());
      const next = driverOf();
      await Promise.all([left, next.boot(step())]);
      expect([await healthy(next), processes().length]).toEqual([true, 1]);
      await next.sleep(step());
      await first.sleep(step());
    }
  });

  test("does not believe what a killed one said of itself", async () => {
    const first = driverOf();
    await made(first);
    const said = readFileSync(paths().daemon);
    await first.sleep(step());
    // As after a kill: the file is there, its process is not.
    writeFileSync(paths().daemon, said);
    writeFileSync(`${paths().db}-wal`, "");
    const next = driverOf();
    expect(await origin(next)).toBeNull();
    await next.wake(step());
    expect(await healthy(next)).toBe(true);
  });

  test("ends the removal of a home that was cut short", async () => {
    const driver = driverOf();
    await made(driver);
    await driver.sleep(step());
    const { folder } = driver.options;
    Bun.spawnSync(["mv", join(folder, MACHINE.id), join(folder, `.removed-${MACHINE.id}`)]);
    await driverOf().destroy(step());
    expect(readdirSync(folder)).toEqual([]);
    expect(existsSync(paths().home)).toBe(false);
  });
});
