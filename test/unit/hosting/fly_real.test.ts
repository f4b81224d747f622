import { expect, setDefaultTimeout, test } from "bun:test";
import type { Token } from "../../../lib/api/wire.ts";
import { APP, FlyWorld, MACHINE } from "../../kit/fly_steps.ts";
import { boxAt } from "../../kit/hosted.ts";

setDefaultTimeout(60_000);

/** The machines run the compiled `spl`, as their configuration says. */

interface Status {
  instance_did: string;
  url: string;
  records: number;
}

test("a token that is minted opens the instance; asleep, awake and minted again it is the same one", async () => {
  await using world = new FlyWorld({ real: true });
  const { fly } = world;
  // As long as a process may take to end in order on a busy machine.
  const driver = world.driver({ answerMs: 20_000 });
  await world.make(driver);
  const token = await driver.mintBootstrap(world.step());

  await using me = boxAt(fly.reach(APP));
  await me.ok("token", "save", token);
  const status = await me.json<Status>("status");
  expect(status.url).toBe(MACHINE.url);
  expect(await me.json<Token>("token", "info")).toMatchObject({ kind: "bearer", scopes: ["admin"] });
  await me.emit([{ thread: "th_kept", act: "DO", body: { n: 1 } }]);
  const { records } = await me.json<Status>("status");

  await driver.sleep(world.step());
  expect(await driver.address(MACHINE, world.handles)).toBeNull();
  expect((await me.spl(["status"])).status).not.toBe(0);
  await driver.wake(world.step());
  expect(await driver.address(MACHINE, world.handles)).toEqual({ origin: fly.reach(APP) });
  const { instance_did } = status;
  expect(await me.json<Status>("status")).toMatchObject({ instance_did, records });

  // Two more: of those that nobody used only the last is good for anything, and what was traded stays.
  const unused = await driver.mintBootstrap(world.step());
  const last = await driver.mintBootstrap(world.step());
  await using late = boxAt(fly.reach(APP));
  expect(await late.spl(["token", "save", unused])).toMatchObject({ status: 4, stdout: "" });
  await late.ok("token", "save", last);
  for (const box of [me, late])
    expect(await box.json<Status>("status")).toMatchObject({ instance_did, records });

  await driver.destroy(world.step());
  expect(fly.apps.size).toBe(0);
  expect(fly.violations).toEqual([]);
});

test("killed between the update and its answer, the machine answers to the token of the next mint", async () => {
  await using world = new FlyWorld({ real: true });
  const driver = world.driver({ answerMs: 20_000 });
  await world.make(driver);
  world.kill = { after: 3, arrives: true };
  expect(await world.killedIn(() => driver.mintBootstrap(world.step()))).toBe(true);
  expect(world.fly.calls.at(-1)).toBe("Machines_update");
  const token = await world.driver({ answerMs: 20_000 }).mintBootstrap(world.step());
  await using me = boxAt(world.fly.reach(APP));
  await me.ok("token", "save", token);
});
