import { expect, setDefaultTimeout, test } from "bun:test";
import { APP, FlyWorld } from "../../kit/fly_steps.ts";

setDefaultTimeout(120_000);

/** How many requests making a machine takes. */
async function requestsOf(): Promise<number> {
  await using world = new FlyWorld();
  await world.make();
  return world.fly.calls.length;
}

function expectOneOfAll({ fly }: FlyWorld): void {
  const app = fly.apps.get(APP)!;
  expect(fly.apps.size).toBe(1);
  expect(app.ips.map(({ shared }) => shared)).toEqual([true, false]);
  expect(app.certificates).toHaveLength(1);
  expect(app.volumes).toHaveLength(1);
  expect(app.machines).toMatchObject([
    { state: "started", cordoned: false, config: { mounts: [{ volume: app.volumes[0]!.id }] } },
  ]);
  expect(fly.violations).toEqual([]);
}

const KILLS = [
  { arrives: false, noted: true },
  { arrives: true, noted: true },
  { arrives: true, noted: false },
];

test.each(KILLS)(
  "killed before any request and run again: one of everything (%p)",
  async ({ arrives, noted }) => {
    const requests = await requestsOf();
    expect(requests).toBeGreaterThan(15);
    for (let after = 0; after < requests; after++) {
      await using world = new FlyWorld();
      world.kill = { after, arrives };
      expect(await world.killedIn(() => world.make())).toBe(true);
      if (!noted) world.handles = {};
      await world.make();
      expectOneOfAll(world);
    }
  },
);

test.each([false, true])(
  "killed anywhere, destroyed, nothing is left (the request arrives: %p)",
  async (arrives) => {
    const requests = await requestsOf();
    for (let after = 0; after < requests; after++) {
      await using world = new FlyWorld();
      world.kill = { after, arrives };
      expect(await world.killedIn(() => world.make())).toBe(true);
      const driver = world.driver();
      await driver.destroy(world.step());
      expect(world.fly.apps.size).toBe(0);
      await driver.destroy(world.step());
      expect(world.fly.violations).toEqual([]);
    }
  },
);

test("killed while it is destroyed: another destroy ends it", async () => {
  for (const arrives of [false, true]) {
    for (let after = 0; after < 2; after++) {
      await using world = new FlyWorld();
      await world.make();
      world.kill = { after, arrives };
      expect(await world.killedIn(() => world.driver().destroy(world.step()))).toBe(true);
      await world.driver().destroy(world.step());
      expect(world.fly.apps.size).toBe(0);
    }
  }
});

test("killed while a token is minted: the next mint works, and nothing else of the machine has changed", async () => {
  await using first = new FlyWorld();
  await first.make();
  const made = first.fly.calls.length;
  await first.driver().mintBootstrap(first.step());
  const requests = first.fly.calls.length - made;
  for (const arrives of [false, true]) {
    for (let after = 0; after < requests; after++) {
      await using world = new FlyWorld();
      await world.make();
      const { env: _, ...before } = world.fly.apps.get(APP)!.machines[0]!.config;
      world.kill = { after, arrives };
      expect(await world.killedIn(() => world.driver().mintBootstrap(world.step()))).toBe(true);
      const token = await world.driver().mintBootstrap(world.step());
      const { env, ...config } = world.fly.apps.get(APP)!.machines[0]!.config;
      expect(config).toEqual(before);
      expect(env).toEqual({
        SYNCROPEL_HOME: "/data/syncro",
        SPL_BOOTSTRAP_TOKEN: new Bun.CryptoHasher("sha256").update(token).digest("hex"),
      });
      expectOneOfAll(world);
    }
  }
});
