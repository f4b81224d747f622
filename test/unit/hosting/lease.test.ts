import { expect, test } from "bun:test";
import { join } from "node:path";
import { systemRandom } from "../../../lib/base/random.ts";
import { migrate } from "../../../lib/hosting/database.ts";
import type { Hosting } from "../../../lib/hosting/hosting.ts";
import { alone } from "../../../lib/hosting/lease.ts";
import { Registry } from "../../../lib/hosting/registry.ts";
import { SqliteDatabase } from "../../../server/hosting/sqlite.ts";
import { ScratchHome } from "../../kit/spl.ts";
import { until } from "../../kit/until.ts";

/** Two processes with one registry and a clock that the test moves. */
class Shared implements Disposable {
  now = 1_800_000_000_000;
  /** What waits for time to pass. */
  readonly deadlines = new Set<AbortController>();
  readonly #home = new ScratchHome();
  readonly db = new SqliteDatabase(join(this.#home.path, "host.db"));
  readonly registry = new Registry(this.db);

  process(): Hosting {
    const deadline = () => {
      const controller = new AbortController();
      this.deadlines.add(controller);
      return controller.signal;
    };
    const ports = { clock: () => this.now, random: systemRandom, deadline };
    return { registry: this.registry, ports } as unknown as Hosting;
  }

  pass(ms: number): void {
    this.now += ms;
    const due = [...this.deadlines];
    this.deadlines.clear();
    for (const controller of due) controller.abort();
  }

  async until(): Promise<number | undefined> {
    const [row] = await this.db.all<{ until: number }>("SELECT until FROM leases");
    return row?.until;
  }

  [Symbol.dispose](): void {
    this.db.close();
    this.#home[Symbol.dispose]();
  }
}

async function shared(): Promise<Shared> {
  const world = new Shared();
  await migrate(world.db);
  return world;
}

const never = () => Promise.reject(new Error("two at once"));

test("one at a time works on an instance, as long as it takes", async () => {
  using world = await shared();
  const [a, b] = [world.process(), world.process()];
  const begun = Promise.withResolvers<void>();
  const free = Promise.withResolvers<void>();
  const first = alone(a, "x", () => {
    begun.resolve();
    return free.promise;
  });
  await begun.promise;
  expect(await alone(b, "x", never)).toBe(false);
  expect(await alone(b, "y", async () => {})).toBe(true);
  // It is prolonged in time, again and again.
  for (let round = 0; round < 3; round++) {
    const before = await world.until();
    world.pass(15_000);
    await until(
      () => world.until(),
      (now) => now! > before!,
    );
    expect(await alone(b, "x", never)).toBe(false);
  }
  free.resolve();
  expect(await first).toBe(true);
  expect(await world.until()).toBeUndefined();
  expect(await alone(b, "x", async () => {})).toBe(true);
});

test("what a killed process held is taken over when it has run out, and whoever wakes up late is told", async () => {
  using world = await shared();
  const [a, b] = [world.process(), world.process()];
  let lost: AbortSignal | undefined;
  const begun = Promise.withResolvers<void>();
  const stopped = alone(a, "x", (lease) => {
    lost = lease.lost;
    begun.resolve();
    return new Promise((resolve) => lease.lost.addEventListener("abort", () => resolve()));
  });
  await begun.promise;
  world.now += 20_000;
  const done = await alone(b, "x", async () => {
    world.pass(0);
    await stopped;
    expect(lost?.aborted).toBe(true);
    // It does not take away what is another's now.
    expect(await alone(a, "x", never)).toBe(false);
  });
  expect(done).toBe(true);
});

test("work that fails leaves the instance free", async () => {
  using world = await shared();
  const failed = alone(world.process(), "x", () => Promise.reject(new Error("no power")));
  expect(failed).rejects.toThrow("no power");
  await failed.catch(() => undefined);
  expect(await alone(world.process(), "x", async () => {})).toBe(true);
});
