import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Status } from "../../lib/api/wire.ts";
import { Box } from "../kit/box.ts";
import { HostingProcess, type Provision } from "../kit/hosting.ts";
import { runSpl } from "../kit/spl.ts";
import { canMount, TinyDisk } from "../kit/tiny_disk.ts";
import { until } from "../kit/until.ts";

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

test("an instance that came not to be is shown with its failure, and the log says more", async () => {
  await using hosting = await HostingProcess.start();
  const blocked = join(hosting.folder, "instances");
  writeFileSync(blocked, "no folder");
  const owner = hosting.visitor();
  const { id } = await owner.begin("unlucky");
  const state = async () => (await owner.json<Provision>(`/v1/provision/${id}`)).state;
  await until(state, (now) => now === "failing");
  expect(logOf(hosting)).toMatch(
    new RegExp(`provision-failed instance=${id} phase=volume code=internal error=.*${blocked}`),
  );
  rmSync(blocked);
  // Whoever looks has the removal tried again.
  await until(state, (now) => now === "failed");
  for (const name of ["unlucky", id]) {
    const { status, stdout } = await operator(hosting, "show", name);
    expect([status, stdout]).toEqual([
      0,
      expect.stringMatching(
        /state: +failed\n[\s\S]*volume: +failed[\s\S]*failure: +internal: internal error\n/,
      ),
    ]);
  }
});

describe.each(["SIGTERM", "SIGKILL"] as const)(
  "a service that ended by %s and has another port",
  (signal) => {
    test("has its instances there, which say so themselves", async () => {
      await using hosting = await HostingProcess.start();
      const owner = hosting.visitor();
      const provision = await owner.instance("mover");
      await using box = new Box();
      box.home.env.SPL_SERVE_URL = provision.url;
      await box.ok("token", "save", (await owner.reveal(provision)).token);
      const { instance_did } = await box.json<Status>("status");
      const before = hosting.url;
      await hosting.end(signal);
      hosting.url = "";
      await hosting.begin();
      expect(hosting.url).not.toBe(before);
      const url = provision.url.replace(before.replace("http://", ""), hosting.url.replace("http://", ""));

      const listed = JSON.parse((await operator(hosting, "list", "-o", "json")).stdout) as { url: string }[];
      expect(listed.map((each) => each.url)).toEqual([url]);
      // Before anybody has called it there: that is where its peers look for it.
      const statement = await until(
        () => hosting.visitor().json<{ url: string }>(`/directory/${encodeURIComponent(instance_did)}`),
        (told) => told.url === url,
      );
      expect(statement.url).toBe(url);
      expect((await fetch(`${url}/health`)).status).toBe(200);
    });
  },
);

test.skipIf(!canMount)(
  "a disk that is full is told with what to do, and nothing is half removed",
  async () => {
    await using hosting = await HostingProcess.start();
    await hosting.end("SIGTERM");
    using disk = new TinyDisk(hosting.folder, 64 * 1024);
    await hosting.begin();
    try {
      const { url } = await hosting.visitor().instance("large-one");
      disk.fill();
      expect(await operator(hosting, "delete", "large-one", "--yes")).toMatchObject({
        status: 1,
        stdout: "",
        stderr:
          "no space is left for the hosting database; whoever runs the service has to free some on the disk of its home, then try again\n",
      });
      disk.relieve();
      expect((await fetch(`${url}/health`)).status).toBe(200);
      expect((await operator(hosting, "delete", "large-one", "--yes")).status).toBe(0);
    } finally {
      await hosting.end("SIGTERM");
    }
  },
);

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
