import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { SplError } from "../../../lib/base/errors.ts";
import { flyDriver } from "../../../lib/hosting/fly/driver.ts";
import type { Fault } from "../../kit/fly_server.ts";
import { APP, FlyWorld, MACHINE } from "../../kit/fly_steps.ts";

setDefaultTimeout(60_000);

/** Every operation that making, minting, sleeping, waking and destroying uses. */
const OPERATIONS = [
  "Apps_show",
  "Apps_create",
  "App_IPAssignments_list",
  "App_IPAssignments_create",
  "App_Certificates_list",
  "App_Certificates_acme_create",
  "Volumes_list",
  "Volumes_create",
  "Machines_list",
  "Machines_create",
  "Machines_wait",
  "Machines_show",
  "Machines_create_lease",
  "Machines_uncordon",
  "Machines_release_lease",
  "Machines_update",
  "Machines_stop",
  "Machines_start",
  "Apps_delete",
];

async function wholeLife(world: FlyWorld): Promise<void> {
  const driver = world.driver();
  await world.make(driver);
  await driver.mintBootstrap(world.step());
  await driver.sleep(world.step());
  expect(await driver.address(MACHINE, world.handles)).toBeNull();
  await driver.wake(world.step());
  expect(await driver.address(MACHINE, world.handles)).not.toBeNull();
  const app = world.fly.apps.get(APP)!;
  expect([app.ips.length, app.certificates.length, app.volumes.length, app.machines.length]).toEqual([
    2, 1, 1, 1,
  ]);
  await driver.destroy(world.step());
  expect(world.fly.apps.size).toBe(0);
}

async function thrown(run: Promise<unknown>): Promise<SplError> {
  const error = await run.then(
    () => null,
    (each) => each,
  );
  expect(error).toBeInstanceOf(SplError);
  return error as SplError;
}

const PASSING: [name: string, fault: Fault][] = [
  ["500", { status: 500, error: "internal error" }],
  ["503 in plain words", { status: 503 }],
  ["429 with Retry-After", { status: 429, error: "rate limited", headers: { "retry-after": "7" } }],
  ["408", { status: 408, error: "deadline_exceeded" }],
  ["a lost answer", { cut: true }],
];

describe.each(OPERATIONS)("%s", (operation) => {
  test.each(PASSING)("%s: gone through, and nothing is made twice", async (_, fault) => {
    await using world = new FlyWorld();
    world.fly.fail(operation, fault, "cut" in fault ? 1 : 2);
    await wholeLife(world);
    expect(world.fly.unmet).toBe(0);
    expect(world.fly.violations).toEqual([]);
    // The lease runs out by itself: nobody waits to release it.
    if (operation !== "Machines_release_lease" && "headers" in fault)
      expect(world.waits.filter((ms) => ms === 7000)).toHaveLength(operation.match(/start|stop$/) ? 0 : 2);
  });

  test("no answer at all, done or not: asked again", async () => {
    for (const hang of ["before", "after"] as const) {
      await using world = new FlyWorld();
      world.fly.fail(operation, { hang });
      await wholeLife(world);
      expect(world.fly.unmet).toBe(0);
      expect(world.fly.violations).toEqual([]);
    }
  });
});

describe("what Fly refuses", () => {
  const REFUSED: [operation: string, status: number][] = [
    ["Apps_create", 422],
    ["App_IPAssignments_create", 422],
    ["App_Certificates_acme_create", 422],
    ["Volumes_create", 422],
    ["Machines_create", 422],
    ["Machines_wait", 400],
    ["Machines_uncordon", 400],
    ["Machines_update", 400],
    ["Apps_show", 401],
    ["Machines_list", 403],
  ];
  test.each(REFUSED)("%s, %p: told in Fly's words, in one line, at once", async (operation, status) => {
    await using world = new FlyWorld();
    world.fly.fail(operation, {
      status,
      error: `line one\n\u001b[31mline two ${world.fly.token} ${"x".repeat(500)}`,
    });
    const error = await thrown(wholeLife(world));
    expect(error.code).toBe("hosting_unavailable");
    expect(error.message).toContain(`${status} line one`);
    expect(error.message).toMatch(/^[ -~…]{20,400}$/);
    expect(error.hint).toBeString();
    expect(error.detail).toMatchObject({ fly_status: status });
    expect(world.fly.unmet).toBe(0);
    expect(told(error)).not.toContain("fm2_");
  });

  test("an app that somebody else has is left alone", async () => {
    await using world = new FlyWorld();
    world.fly.foreign.add(APP);
    const error = await thrown(world.driver().volume(world.step()));
    expect([error.code, error.message]).toEqual([
      "conflict",
      `the app ${APP} belongs to someone else on Fly`,
    ]);
    expect(world.fly.apps.size).toBe(0);
  });

  test("an app of another of the token's organizations is left alone", async () => {
    await using world = new FlyWorld();
    await world.make();
    const other = world.driver({ org: "umbrella" });
    expect((await thrown(other.volume(world.step()))).code).toBe("conflict");
  });
});

describe("no room", () => {
  test("for the volume in the preferred region: the next one", async () => {
    await using world = new FlyWorld();
    world.fly.fullRegions.add("iad");
    await world.make();
    expect(world.fly.apps.get(APP)).toMatchObject({
      volumes: [{ region: "lhr" }],
      machines: [{ region: "lhr" }],
    });
  });

  test("in any region: said, after each was asked twice, and nothing but the app is left", async () => {
    await using world = new FlyWorld();
    for (const region of ["iad", "lhr"]) world.fly.fullRegions.add(region);
    const error = await thrown(world.driver().volume(world.step()));
    expect(error).toMatchObject({
      code: "hosting_unavailable",
      message: "Fly has no room for another machine in iad, lhr",
    });
    expect(world.fly.calls.filter((call) => call === "Volumes_create")).toHaveLength(4);
    world.fly.fullRegions.clear();
    await world.make();
    expect(world.fly.apps.get(APP)).toMatchObject({ volumes: [{ region: "iad" }] });
  });

  const FULL: [name: string, fault: Fault][] = [
    ["412", { status: 412, error: "insufficient resources to create new machine with existing volume" }],
    ["422 volume_placement_capacity", { status: 422, reason: "volume_placement_capacity" }],
    ["422 insufficient_capacity", { status: 422, reason: "insufficient_capacity" }],
    ["409 of the host", { status: 409, error: "insufficient memory available to fulfill request" }],
    ["400 of a stale volume", { status: 400, error: "volume vol_1 does not exist" }],
  ];
  test.each(FULL)(
    "for the machine, %s: a fresh volume elsewhere, the stranded one is gone",
    async (_, fault) => {
      await using world = new FlyWorld();
      world.fly.fail("Machines_create", fault);
      await world.driver().volume(world.step());
      const stranded = world.handles.volume;
      await world.make();
      const app = world.fly.apps.get(APP)!;
      expect(app.volumes).toMatchObject([{ region: "lhr" }]);
      expect(app.machines).toMatchObject([
        { region: "lhr", config: { mounts: [{ volume: app.volumes[0]!.id }] } },
      ]);
      expect(world.handles.volume).toBe(app.volumes[0]!.id);
      expect(world.handles.volume).not.toBe(stranded);
      expect(world.fly.violations).toEqual([]);
    },
  );

  test("killed anywhere while it moves elsewhere: one volume, one machine", async () => {
    for (const arrives of [false, true]) {
      for (let after = 0, killed = true; killed; after++) {
        await using world = new FlyWorld();
        await world.driver().volume(world.step());
        world.fly.fail("Machines_create", FULL[0]![1]);
        world.kill = { after, arrives };
        killed = await world.killedIn(() => world.make());
        await world.make();
        const app = world.fly.apps.get(APP)!;
        expect([app.volumes.length, app.machines.length]).toEqual([1, 1]);
      }
    }
  });

  test("for a machine in the place of one that is gone: the volume with its data stays", async () => {
    await using world = new FlyWorld();
    await world.make();
    const app = world.fly.apps.get(APP)!;
    const [volume] = app.volumes;
    app.machines = [];
    delete volume!.attached_machine_id;
    for (const [, fault] of FULL.filter(([, each]) => "status" in each && each.status !== 409)) {
      world.fly.fail("Machines_create", fault);
      expect((await thrown(world.driver().machine(world.step()))).code).toBe("hosting_unavailable");
      expect(app.volumes.map(({ id }) => id)).toEqual([volume!.id]);
    }
    await world.driver().machine(world.step());
    expect(app.machines).toMatchObject([{ config: { mounts: [{ volume: volume!.id }] } }]);
  });

  test("for a machine that sleeps: said, and its volume stays", async () => {
    await using world = new FlyWorld();
    await world.make();
    const driver = world.driver();
    await driver.sleep(world.step());
    world.fly.fail("Machines_start", {
      status: 412,
      error: "insufficient resources available to fulfill request",
    });
    expect((await thrown(driver.wake(world.step()))).message).toContain("insufficient resources");
    expect(world.fly.apps.get(APP)!.volumes).toHaveLength(1);
    await driver.wake(world.step());
  });
});

describe("leases", () => {
  test("of somebody else are waited for until they run out", async () => {
    await using world = new FlyWorld();
    await world.make();
    const [machine] = world.fly.apps.get(APP)!.machines;
    machine!.lease = { nonce: "theirs", until: world.now + 20_000 };
    const before = world.now;
    await world.driver().mintBootstrap(world.step());
    expect(world.now - before).toBeGreaterThanOrEqual(20_000);
    expect(machine!.lease).toBeNull();
  });

  test("that nobody gives back end at the deadline", async () => {
    await using world = new FlyWorld();
    await world.make();
    const [machine] = world.fly.apps.get(APP)!.machines;
    machine!.lease = { nonce: "theirs", until: Number.POSITIVE_INFINITY };
    const error = await thrown(world.driver().mintBootstrap(world.step()));
    expect([error.code, error.message]).toEqual([
      "boot_timeout",
      expect.stringMatching(/409 machine ID m\d+ lease currently held/),
    ]);
  });

  test("that came with the machine and have run out are no obstacle, also where it has to be started", async () => {
    await using world = new FlyWorld();
    const driver = world.driver();
    await driver.volume(world.step());
    await driver.machine(world.step());
    const [machine] = world.fly.apps.get(APP)!.machines;
    machine!.state = "stopped";
    world.now += 60_000;
    await driver.boot(world.step());
    expect(machine).toMatchObject({ state: "started", cordoned: false, lease: null });
  });

  test("in the envelope of the live API are read as well", async () => {
    await using world = new FlyWorld();
    world.fly.leaseInEnvelope = true;
    await world.make();
    await world.driver().mintBootstrap(world.step());
    expect(world.fly.apps.get(APP)!.machines).toMatchObject([{ cordoned: false, lease: null }]);
  });
});

describe("in time", () => {
  test("a mint that another one has overtaken asks at a measured pace until the deadline", async () => {
    await using world = new FlyWorld();
    await world.make();
    const { fly } = world;
    const [machine] = fly.apps.get(APP)!.machines;
    const { fetch: send, ...ports } = world.ports;
    const driver = flyDriver(world.options(), {
      ...ports,
      fetch: async (url, init) => {
        const response = await send(url, init);
        // Once its own update is done, another one's takes its place.
        if (fly.calls.at(-1) === "Machines_release_lease" && machine!.version !== "01HOTHER")
          Object.assign(machine!, { version: "01HOTHER", state: "started" });
        return response;
      },
    });
    const before = fly.calls.length;
    expect((await thrown(driver.mintBootstrap(world.step(20_000)))).code).toBe("boot_timeout");
    expect(fly.calls.length - before).toBeLessThan(60);
  });

  test("a machine that is slow to start is waited for", async () => {
    await using world = new FlyWorld();
    world.fly.slowWaits = 5;
    await world.make();
    expect(world.fly.calls.filter((call) => call === "Machines_wait").length).toBeGreaterThan(5);
  });

  test("one that never starts, or never gets well, is a boot_timeout, and stays closed to the world", async () => {
    for (const spoil of [
      ({ fly }: FlyWorld) => Object.assign(fly, { slowWaits: Number.POSITIVE_INFINITY }),
      ({ fly }: FlyWorld) => Object.assign(fly, { healthy: false }),
    ]) {
      await using world = new FlyWorld();
      const driver = world.driver();
      await driver.volume(world.step());
      await driver.machine(world.step());
      spoil(world);
      const error = await thrown(driver.boot(world.step(20_000)));
      expect([error.code, error.message]).toEqual([
        "boot_timeout",
        expect.stringMatching(
          /^the instance did not come up in time: .*(?:currently starting|check is critical)/,
        ),
      ]);
      expect(world.fly.apps.get(APP)!.machines).toMatchObject([{ cordoned: true }]);
      expect(await driver.address(MACHINE, world.handles)).toBeNull();
      await driver.destroy(world.step());
      expect(world.fly.apps.size).toBe(0);
    }
  });

  test("Fly that is down until the deadline is said as that", async () => {
    for (const [operation, name] of [
      ["Apps_show", "volume"],
      ["Machines_list", "machine"],
    ] as const) {
      await using world = new FlyWorld();
      await world.driver().volume(world.step());
      world.fly.fail(operation, { status: 502, error: "bad gateway" }, 1000);
      const error = await thrown(world.driver()[name](world.step(30_000)));
      expect([error.code, error.message]).toEqual([
        "hosting_unavailable",
        expect.stringContaining("502 bad gateway"),
      ]);
      // Ever longer, with chance in it, and not for long at a time.
      expect(Math.max(...world.waits)).toBeLessThanOrEqual(8000);
      expect(world.waits.length).toBeLessThan(20);
      expect(new Set(world.waits).size).toBe(world.waits.length);
    }
  });

  test("Retry-After may be a date", async () => {
    await using world = new FlyWorld();
    const date = new Date(world.now + 11_000).toUTCString();
    world.fly.fail("Apps_show", { status: 429, headers: { "retry-after": date } });
    await world.driver().volume(world.step());
    expect(world.waits).toContain(11_000);
  });
});

test("sleep and wake with nothing to do", async () => {
  await using world = new FlyWorld();
  const driver = world.driver();
  await world.make(driver);
  await driver.wake(world.step());
  await driver.sleep(world.step());
  await driver.sleep(world.step());
  expect(world.fly.calls.filter((call) => /_(?:start|stop)$/.test(call))).toEqual(["Machines_stop"]);
});

test("a machine whose host Fly does not reach keeps its configuration", async () => {
  await using world = new FlyWorld();
  await world.make();
  const machine = world.fly.apps.get(APP)!.machines[0]!;
  machine.config = { env: machine.config.env! };
  const error = await thrown(world.driver().mintBootstrap(world.step()));
  expect(error.message).toContain("Fly does not reach the machine's host");
  expect(world.fly.calls).not.toContain("Machines_update");
});

describe("secrets", () => {
  function told(world: FlyWorld): string {
    return `${world.seen.join("\n")}${JSON.stringify(world.handles)}`;
  }

  test("neither the operator's token nor a bootstrap token is noted or told to Fly", async () => {
    await using world = new FlyWorld();
    await world.make();
    const token = await world.driver().mintBootstrap(world.step());
    expect(token).toMatch(/^spl_boot_bootstrap_[A-Za-z0-9_-]{43}$/);
    const all = told(world) + JSON.stringify([...world.fly.apps.values()].map(({ machines }) => machines));
    expect(all).not.toContain("fm2_");
    expect(all).not.toContain(token.slice(-20));
  });

  test("the token goes to the API only, and not to where it redirects", async () => {
    await using world = new FlyWorld();
    const stray: (string | null)[] = [];
    using elsewhere = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        stray.push(request.headers.get("authorization"));
        return new Response("{}");
      },
    });
    world.fly.fail("Apps_show", {
      status: 307,
      headers: { location: `http://127.0.0.1:${elsewhere.port}/` },
    });
    expect((await thrown(world.driver().volume(world.step()))).message).toContain("307");
    expect(stray).toEqual([]);
    const sent: string[] = [];
    const { ports } = world;
    const driver = flyDriver(world.options(), {
      ...ports,
      fetch: (url, init) => {
        if (new Headers(init.headers).has("authorization")) sent.push(url);
        return ports.fetch(url, init);
      },
    });
    await world.make(driver);
    expect(sent.length).toBeGreaterThan(10);
    expect(sent.filter((url) => !url.startsWith(`${world.fly.api}/`))).toEqual([]);
  });

  test("a wrong token is said without it", async () => {
    await using world = new FlyWorld();
    const error = await thrown(world.driver({ token: "fm2_wrong-secret" }).volume(world.step()));
    expect(error.message).toBe(`Fly refused to GET /apps/${APP}: 401 invalid token Bearer …`);
    expect(error.hint).toContain("the operator's token");
  });
});

function told(error: SplError): string {
  return [error.stack, JSON.stringify(error), error.hint, Bun.inspect(error)].join("\n");
}
