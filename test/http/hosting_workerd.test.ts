import { expect, test } from "bun:test";
import { DEFAULT_PLANS } from "../../lib/hosting/plans.ts";
import { WorkerdHost } from "../kit/hosts.ts";
import { until } from "../kit/until.ts";
import { hostingScenarios } from "./hosting_scenarios.ts";

hostingScenarios(WorkerdHost.open);

/** An instance whose making was begun and left, by a Worker that is gone. */
async function abandoned(host: WorkerdHost, label: string): Promise<string> {
  const id = Bun.SHA256.hash(label, "hex").slice(0, 16);
  const url = host.url.replace("localhost", `${label}.localhost`);
  const machine = { id, label, url, plan: DEFAULT_PLANS[0]!, owner: "f".repeat(16), link: `link-${id}` };
  await host.registry.reserve(machine, { owner: 10, all: 10 }, null, Date.now());
  return id;
}

test("by the clock it goes on with what nobody else is at work on", async () => {
  await using host = await WorkerdHost.open();
  const { registry } = host;
  const [left, held, ending] = [
    await abandoned(host, "left-alone"),
    await abandoned(host, "held"),
    await abandoned(host, "ending"),
  ];
  await registry.takeLease(held, "another", Date.now() + 60_000, Date.now());
  await registry.move(ending, "provisioning", "ending");
  const worker = (await host.worker.getWorker()) as unknown as { scheduled(event: object): Promise<unknown> };
  await worker.scheduled({ cron: "* * * * *" });
  const stateOf = async (id: string) => (await registry.instance(id))!.state;
  expect(
    await until(
      () => stateOf(left),
      (state) => state !== "provisioning",
    ),
  ).toBe("ready");
  expect([await stateOf(held), await stateOf(ending)]).toEqual(["provisioning", "ready"]);
  expect(await registry.phases(held)).toHaveLength(1);
  expect(host.fly.apps.size).toBe(1);
});

test("a variable that cannot be is named in the log, which tells no secret, and visitors are told to wait", async () => {
  await using host = new WorkerdHost();
  const good = host.env({});
  for (const [name, value] of [
    ["HOST_KEY", "5ec5e7"],
    ["FLY_API_TOKEN", ""],
    ["SIGNUP", "maybe"],
    ["BASE_URL", "https://example.com/"],
    ["MAX_INSTANCES", "many"],
  ] as const) {
    await host.begin({ ...good, [name]: value });
    const answer = await fetch(`${host.url}/start`);
    expect([name, answer.status]).toEqual([name, 503]);
    expect(await answer.text()).not.toContain(name);
    expect(
      await until(
        async () => host.logs.at(-1) ?? "",
        (line) => line.includes(name),
      ),
    ).toContain("start-failed");
  }
  expect(host.logs.join()).not.toContain("5ec5e7");
});
