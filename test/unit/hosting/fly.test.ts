import { expect, setDefaultTimeout, test } from "bun:test";
import { APP, FlyWorld, MACHINE } from "../../kit/fly_steps.ts";

setDefaultTimeout(30_000);

test("an instance is made: app, addresses, certificate, volume, machine, and it is reached", async () => {
  await using world = new FlyWorld();
  const { fly } = world;
  const driver = world.driver();
  await driver.volume(world.step());
  await driver.machine(world.step());
  const [before] = fly.apps.get(APP)!.machines;
  expect(before).toMatchObject({ cordoned: true });
  expect(await driver.address(MACHINE, world.handles)).toBeNull();
  await driver.boot(world.step());

  const app = fly.apps.get(APP)!;
  expect(app).toMatchObject({ org: fly.org, certificates: ["alice.hosted.example"] });
  expect(app.ips.map(({ shared }) => shared)).toEqual([true, false]);
  expect(app.volumes).toMatchObject([{ name: "spl_data", region: "iad", size_gb: 3, encrypted: true }]);
  const [machine] = app.machines;
  expect(machine).toMatchObject({ state: "started", cordoned: false, lease: null, region: "iad" });
  expect(machine!.config).toMatchObject({
    image: "registry.fly.io/spl:1",
    env: { SYNCROPEL_HOME: "/data/syncro" },
    guest: { cpu_kind: "shared", cpus: 1, memory_mb: 512 },
    mounts: [{ volume: app.volumes[0]!.id, path: "/data" }],
    metadata: { spl: MACHINE.id },
    init: {
      entrypoint: ["spl"],
      cmd: [
        ...["serve", "--host", "0.0.0.0", "--port", "9100", "--public-url", MACHINE.url],
        ...["--allowed-hosts", `${APP}.fly.dev`],
      ],
    },
  });
  expect(await driver.address(MACHINE, world.handles)).toEqual({ origin: fly.reach(APP) });
  expect(world.handles).toMatchObject({ app: APP, region: "iad", machine: machine!.id, lease: "" });
  expect(fly.violations).toEqual([]);
});

test("where Fly's proxy starts and stops machines, nobody asks the API whether one runs", async () => {
  await using world = new FlyWorld();
  const { fly } = world;
  const driver = world.driver({ autostop: true });
  await world.make(driver);
  const [machine] = fly.apps.get(APP)!.machines;
  expect(machine!.config.services).toMatchObject([{ autostart: true, autostop: "stop" }]);
  await fly.stopIdle();
  const before = fly.calls.length;
  await driver.wake(world.step());
  expect(await driver.address(MACHINE, world.handles)).toEqual({ origin: fly.reach(APP) });
  expect(fly.calls.length).toBe(before);
  expect(fly.violations).toEqual([]);
});
