import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HostingProcess } from "../kit/hosting.ts";
import { runSpl } from "../kit/spl.ts";

setDefaultTimeout(60_000);

/** What who runs a hosting service types, and finds. */

const operator = (hosting: HostingProcess, ...args: string[]) =>
  runSpl(["host", ...args], { home: hosting.home });

/** What the service has logged. */
const logOf = ({ folder }: HostingProcess) => readFileSync(join(folder, "logs", "host.log"), "utf8");

describe("an instance that does not start", () => {
  let hosting: HostingProcess;
  beforeAll(async () => {
    hosting = await HostingProcess.start();
  });
  afterAll(() => hosting[Symbol.asyncDispose]());

  test("tells why in the service's log, whoever asked", async () => {
    const owner = hosting.visitor();
    const { id, url, first_run_url } = await owner.instance("broken-one");
    expect((await operator(hosting, "sleep", "broken-one")).status).toBe(0);
    const config = join(hosting.folder, "instances", id, "config.toml");
    writeFileSync(config, "listen = [\n");
    const asked = [
      () => fetch(`${url}/health`),
      () => owner.call(new URL(first_run_url).pathname, { method: "POST" }),
      () => owner.call(`/v1/provision/${id}/bundle`),
    ];
    for (const ask of asked) {
      const before = logOf(hosting).length;
      const refused = await ask();
      expect([refused.status, await refused.text()]).toEqual([
        503,
        expect.not.stringContaining("config.toml"),
      ]);
      const said = logOf(hosting).slice(before);
      expect(said).toContain(`wake-failed instance=${id}`);
      expect(said).toContain(config);
    }
  });
});

test("an invitation is made only where it can be used", async () => {
  await using closed = await HostingProcess.start("--signup", "closed");
  expect(await operator(closed, "invite")).toMatchObject({
    status: 1,
    stdout: "",
    stderr:
      "this service takes no new instances, so no invitation can be used; start it with --signup invite, then make one\n",
  });
  await using open = await HostingProcess.start("--signup", "open");
  const made = await operator(open, "invite");
  expect([made.status, made.stderr]).toEqual([
    0,
    expect.stringMatching(/shown this once\nnobody needs one: sign-up is open here\n$/),
  ]);
});
