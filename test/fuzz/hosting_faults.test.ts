import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BUNDLE_TYPE } from "../../lib/api/media.ts";
import { homePaths } from "../../lib/base/home.ts";
import { Box } from "../kit/box.ts";
import { boxAt } from "../kit/hosted.ts";
import { HostingProcess, type Provision, type Visitor } from "../kit/hosting.ts";
import { dumpOf } from "../kit/hosting_app.ts";
import { runSpl, ScratchHome } from "../kit/spl.ts";
import { canMount, TinyDisk } from "../kit/tiny_disk.ts";
import { until } from "../kit/until.ts";

/** The hosting service, compiled, while everything around it goes wrong. */

setDefaultTimeout(60_000);

/** Every visitor comes from an address of its own: else the limits of one address would be met. */
const FROM_ANYWHERE = ["--trusted-proxy", "127.0.0.0/8"];
let visitors = 0;
function someone(hosting: HostingProcess): Visitor {
  visitors++;
  return hosting.visitor({ "x-forwarded-for": `198.51.${visitors >> 8}.${visitors & 255}` });
}

/** Processes that run with a home below the service's folder, by their home. */
function processesOf(hosting: HostingProcess): string[] {
  const below = `SYNCROPEL_HOME=${hosting.folder}/instances/`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const pairs = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
        return pairs.filter((pair) => pair.startsWith(below)).map((pair) => pair.slice(below.length));
      } catch {
        return [];
      }
    });
}

function homesOf(hosting: HostingProcess): string[] {
  const folder = join(hosting.folder, "instances");
  return existsSync(folder) ? readdirSync(folder) : [];
}

function pidOf(hosting: HostingProcess, { id }: Provision): number {
  const { daemon } = homePaths(join(hosting.folder, "instances", id));
  return (JSON.parse(readFileSync(daemon, "utf8")) as { pid: number }).pid;
}

/** The command line of somebody whose instance this is. */
async function ownerBox(visitor: Visitor, provision: Provision): Promise<Box> {
  const { url, token } = await visitor.reveal(provision);
  const box = boxAt(url);
  await box.ok("token", "save", token);
  return box;
}

/** A token with all rights. */
async function lastingOf(box: Box): Promise<string> {
  const account = ["--name", "all", "--scopes", "admin", "--with-token"];
  return (await box.json<{ token: string }>("service-account", "create", ...account)).token;
}

function operator(hosting: HostingProcess, ...args: string[]) {
  return runSpl(["host", ...args], { home: hosting.home });
}

async function operatorState(hosting: HostingProcess, label: string): Promise<string> {
  const { stdout, stderr } = await operator(hosting, "show", label, "-o", "json");
  if (stdout === "") throw new Error(stderr);
  return (JSON.parse(stdout) as { state: string }).state;
}

/** Changes the database of a service that does not run. */
function changed(hosting: HostingProcess, change: (run: (sql: string) => void) => void): void {
  using db = new Database(join(hosting.folder, "host.db"));
  change((sql) => db.run(sql));
}

describe("many at once", () => {
  let hosting: HostingProcess;
  beforeAll(async () => {
    hosting = await HostingProcess.start(...FROM_ANYWHERE);
  });
  afterAll(() => hosting[Symbol.asyncDispose]());

  test("a label that two want in the same millisecond goes to one", async () => {
    for (let round = 0; round < 8; round++) {
      const both = [someone(hosting), someone(hosting)];
      const begun = await Promise.all(
        both.map((visitor) => visitor.call("/v1/provision", { json: { label: `wanted-${round}` } })),
      );
      expect(begun.map(({ status }) => status).sort()).toEqual([202, 409]);
      const winner = begun.findIndex(({ status }) => status === 202);
      const { id } = (await begun[winner]!.json()) as Provision;
      expect((await begun[1 - winner]!.json()) as object).toMatchObject({ code: "label_taken" });
      // All are made at the same time; only the last one is waited for.
      if (round === 7) expect((await both[winner]!.settled(id)).at(-1)!.state).toBe("ready");
    }
  });

  test("the one-shot link that fifty replay at once shows its token to one", async () => {
    const visitor = someone(hosting);
    const provision = await visitor.instance("one-shot");
    const path = new URL(provision.first_run_url).pathname;
    const all = await Promise.all(
      Array.from({ length: 50 }, () => someone(hosting).call(path, { method: "POST" })),
    );
    expect(all.map(({ status }) => status).sort()).toEqual([200, ...new Array(49).fill(409)]);
  });

  test("of twenty that come while it sleeps, each is answered by one process, bodies and all", async () => {
    const visitor = someone(hosting);
    const provision = await visitor.instance("sleeper");
    await using box = await ownerBox(visitor, provision);
    const token = await lastingOf(box);
    for (const how of ["asleep", "falling asleep"]) {
      const sleep = operator(hosting, "sleep", "sleeper");
      if (how === "asleep") {
        expect((await sleep).status).toBe(0);
        expect(processesOf(hosting)).not.toContain(provision.id);
      }
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          n % 2
            ? fetch(`${provision.url}/v1/status`, { headers: { authorization: `Bearer ${token}` } })
            : fetch(`${provision.url}/v1/records`, {
                method: "POST",
                headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
                body: JSON.stringify({
                  thread: "th_a",
                  actor: "did:sync:user:alice",
                  act: "DO",
                  body: { how, n, text: "x".repeat(10_000) },
                }),
              }),
        ),
      );
      expect(all.map(({ status }) => status).sort()).toEqual([
        ...new Array(10).fill(200),
        ...new Array(10).fill(201),
      ]);
      await Promise.all(all.map((response) => response.text()));
      await sleep;
    }
    expect((await box.json<{ records: number }>("status")).records).toBe(20);
    expect(processesOf(hosting).filter((id) => id === provision.id)).toHaveLength(1);
  });

  test("an idle instance that nobody has called sleeps, and a service of sleepers has no processes", async () => {
    await using lazy = await HostingProcess.start("--idle", "1s");
    await lazy.visitor().instance("idle-one");
    await until(
      async () => processesOf(lazy),
      (running) => running.length === 0,
    );
    expect(await operatorState(lazy, "idle-one")).toBe("asleep");
  });
});

describe("the service is killed", () => {
  test.each(["reserve", "volume", "machine", "boot", "bootstrap"])(
    "after phase %s began: the next one goes on, with one home and one process",
    async (phase) => {
      await using hosting = await HostingProcess.start();
      const visitor = hosting.visitor();
      const { id } = await visitor.begin("survivor");
      await hosting.end("SIGKILL");
      // What it would have found on disk: the phase begun and not ended, nothing after it.
      changed(hosting, (run) => {
        const later = ["reserve", "volume", "machine", "boot", "bootstrap", "ready"];
        const from = later.indexOf(phase);
        for (const name of later.slice(Math.max(1, from))) run(`DELETE FROM phases WHERE phase = '${name}'`);
        if (from > 0) run(`INSERT INTO phases (instance, phase, started_at) VALUES ('${id}', '${phase}', 1)`);
        run(`UPDATE instances SET state = 'provisioning', did = NULL WHERE id = '${id}'`);
      });
      await hosting.begin();
      const last = (await visitor.settled(id)).at(-1)!;
      expect([last.state, last.failure]).toEqual(["ready", null]);
      expect(homesOf(hosting)).toEqual([id]);
      expect(processesOf(hosting)).toEqual([id]);
      await using box = await ownerBox(visitor, last);
      await box.ok("status");
    },
  );

  test("at any moment of many provisionings: all end ready", async () => {
    await using hosting = await HostingProcess.start("--max-per-owner", "100");
    const visitor = hosting.visitor();
    const all = [await visitor.begin("team-0")];
    for (let n = 1; n < 6; n++) {
      all.push(await visitor.begin(`team-${n}`));
      // As far as it has come by then: that differs each time.
      await hosting.end("SIGKILL");
      await hosting.begin();
    }
    for (const { id } of all)
      expect((await visitor.settled(id)).at(-1)).toMatchObject({ id, state: "ready" });
    expect(homesOf(hosting).sort()).toEqual(all.map(({ id }) => id).sort());
    expect(processesOf(hosting).sort()).toEqual(all.map(({ id }) => id).sort());
  });

  test("while a failed one is removed: nothing is left, and the label is free", async () => {
    await using hosting = await HostingProcess.start();
    const visitor = hosting.visitor();
    const { id } = await visitor.instance("unlucky");
    await hosting.end("SIGKILL");
    changed(hosting, (run) =>
      run(
        `UPDATE instances SET state = 'failing', failure = '{"code":"boot_timeout","phase":"boot","message":"m","hint":null}'`,
      ),
    );
    await hosting.begin();
    expect((await visitor.settled(id)).at(-1)).toMatchObject({
      state: "failed",
      failure: { code: "boot_timeout" },
    });
    expect([homesOf(hosting), processesOf(hosting)]).toEqual([[], []]);
    expect((await visitor.instance("unlucky")).state).toBe("ready");
  });

  test.each([
    ["ending", "ready", 200],
    ["leaving", "left", 410],
    ["deleting", "deleted", 410],
  ] as const)("while an instance is %s: then it is %s", async (state, then, status) => {
    await using hosting = await HostingProcess.start();
    const visitor = hosting.visitor();
    const { id, url } = await visitor.instance("goodbye");
    await hosting.end("SIGKILL");
    changed(hosting, (run) => run(`UPDATE instances SET state = '${state}'`));
    await hosting.begin();
    // What is being removed goes on being removed behind the start.
    const stateNow = async () => (await visitor.json<Provision>(`/v1/provision/${id}`)).state;
    expect(await until(stateNow, (now) => now === then)).toBe(then);
    expect((await fetch(`${url}/health`)).status).toBe(status);
    expect(homesOf(hosting)).toEqual(then === "ready" ? [id] : []);
    expect(processesOf(hosting)).toEqual(then === "ready" ? [id] : []);
  });

  test("leaves its instances running; the next takes them over and can put them to sleep; SIGTERM stops all", async () => {
    await using hosting = await HostingProcess.start();
    const visitor = hosting.visitor();
    const all = [await visitor.instance("first-one"), await visitor.instance("second-one")];
    const pids = all.map((each) => pidOf(hosting, each));
    await hosting.end("SIGKILL");
    expect(processesOf(hosting)).toHaveLength(2);
    await hosting.begin();
    expect((await fetch(`${all[0]!.url}/health`)).status).toBe(200);
    expect(all.map((each) => pidOf(hosting, each))).toEqual(pids);
    expect((await operator(hosting, "sleep", "first-one")).status).toBe(0);
    expect(processesOf(hosting)).toEqual([all[1]!.id]);
    expect(await hosting.end("SIGTERM")).toBe(0);
    expect(processesOf(hosting)).toEqual([]);
  });
});

describe("an instance", () => {
  let hosting: HostingProcess;
  beforeAll(async () => {
    hosting = await HostingProcess.start(...FROM_ANYWHERE);
  });
  afterAll(() => hosting[Symbol.asyncDispose]());

  test("that dies while it imports: its client is told, nothing of it stays, and again it works", async () => {
    await using source = await Box.serving();
    const text = () => Array.from({ length: 100 }, () => Math.random().toString(36)).join("");
    await source.emit(
      Array.from({ length: 1500 }, (_, n) => ({ thread: `th_${n % 9}`, act: "DO", body: { text: text() } })),
    );
    const bundle = source.file("bundle.tar.zst");
    await source.ok("export", "--out", bundle);

    const visitor = someone(hosting);
    const provision = await visitor.instance("importer");
    await using box = await ownerBox(visitor, provision);
    const token = await lastingOf(box);
    const before = await box.json<{ records: number; digest: string; instance_did: string }>("status");

    // The upload stops in the middle, and goes on once the instance was killed.
    const bytes = new Uint8Array(await Bun.file(bundle).arrayBuffer());
    const killed = Promise.withResolvers<void>();
    const halves = async function* () {
      yield bytes.slice(0, bytes.length / 2);
      await killed.promise;
      yield bytes.slice(bytes.length / 2);
    };
    const upload = fetch(`${provision.url}/v1/import`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": BUNDLE_TYPE },
      body: halves(),
      duplex: "half",
    } as object).then(
      async (response) => `${response.status} ${await response.text()}`,
      (error) => String(error),
    );
    const pid = pidOf(hosting, provision);
    const run = homePaths(join(hosting.folder, "instances", provision.id)).run;
    await until(
      async () => readdirSync(run).some((name) => name.endsWith(".spool")),
      (imports) => imports,
    );
    process.kill(pid, "SIGKILL");
    killed.resolve();
    expect(await upload).toMatch(/^503 .*"the instance cannot be reached: it does not answer"/);

    const after = await box.json<typeof before>("status");
    expect(after).toMatchObject({ records: 0, digest: before.digest, instance_did: before.instance_did });
    await box.ok("import", bundle);
    expect((await box.json<typeof before>("status")).records).toBe(1500);
    expect(processesOf(hosting).filter((id) => id === provision.id)).toHaveLength(1);
  });

  test("goes on when its end is refused, and ends with the right proof", async () => {
    const visitor = someone(hosting);
    const provision = await visitor.instance("leaver");
    await using box = await ownerBox(visitor, provision);
    await box.ok("intend", "to stay for now");
    const leave = async (body: object) => {
      const response = await visitor.call(`/v1/provision/${provision.id}/leave`, { json: body });
      return { status: response.status, ...((await response.json()) as object) };
    };
    expect(await leave({})).toMatchObject({ status: 409, code: "conflict" });
    expect(await leave({ bundle_sha256: "0".repeat(64) })).toMatchObject({ status: 409, code: "conflict" });
    expect(await leave({ bundle_sha256: "nonsense" })).toMatchObject({ status: 400 });
    const stranger = await someone(hosting).call(`/v1/provision/${provision.id}/leave`, {
      json: { without_bundle: true },
    });
    expect(stranger.status).toBe(401);

    const file = box.file("mine.tar.zst");
    await box.ok("export", "--out", file);
    const { bundle_sha256 } = await box.json<{ bundle_sha256: string }>("verify", file);
    await box.ok("intend", "written after the bundle");
    expect(await leave({ bundle_sha256 })).toMatchObject({ status: 409, code: "conflict" });
    await box.ok("intend", "it goes on");

    await box.ok("export", "--force", "--out", file);
    const newest = await box.json<{ bundle_sha256: string }>("verify", file);
    expect(await leave({ bundle_sha256: newest.bundle_sha256 })).toMatchObject({
      status: 200,
      state: "left",
    });
    expect(homesOf(hosting)).not.toContain(provision.id);
    expect(processesOf(hosting)).not.toContain(provision.id);
    const taken = await someone(hosting).call("/v1/provision", { json: { label: "leaver" } });
    expect(taken.status).toBe(409);
  });

  test("gives its bundle to its owner as often as asked at once", async () => {
    const visitor = someone(hosting);
    const { id } = await visitor.instance("impatient");
    const downloads = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const response = await visitor.call(`/v1/provision/${id}/bundle`);
        await response.arrayBuffer();
        return response.status;
      }),
    );
    expect(downloads).toEqual([200, 200, 200, 200]);
  });

  test("can be given up without a bundle, on purpose", async () => {
    const visitor = someone(hosting);
    const { id, url } = await visitor.instance("forgotten");
    const gone = await visitor.call(`/v1/provision/${id}`, {
      method: "DELETE",
      json: { without_bundle: true },
    });
    expect(await gone.json()).toEqual({ id, label: "forgotten", state: "deleted" });
    expect((await fetch(`${url}/v1/status`)).status).toBe(410);
    expect(homesOf(hosting)).not.toContain(id);
  });
});

test.skipIf(!canMount)(
  "a disk that is full: the failure is told without a path, nothing is left, and it works when there is space",
  async () => {
    await using hosting = await HostingProcess.start();
    await hosting.end("SIGTERM");
    const folder = join(hosting.folder, "instances");
    using disk = new TinyDisk(folder, 16 * 1024);
    await hosting.begin();
    try {
      for (const leftKib of [0, 8, 64, 150]) {
        disk.fill(leftKib);
        const visitor = hosting.visitor();
        const { id } = await visitor.begin("crowded");
        const last = (await visitor.settled(id)).at(-1)!;
        expect([leftKib, last.state]).toEqual([leftKib, "failed"]);
        expect(["disk_full", "hosting_unavailable"]).toContain(last.failure!.code);
        if (leftKib < 100) expect(last.failure!.code).toBe("disk_full");
        expect(JSON.stringify(last)).not.toContain(hosting.folder);
        expect([homesOf(hosting).filter((name) => name !== "ballast"), processesOf(hosting)]).toEqual([
          [],
          [],
        ]);
        disk.relieve();
      }
      expect((await hosting.visitor().instance("crowded")).state).toBe("ready");
    } finally {
      await hosting.end("SIGTERM");
    }
  },
);

describe("a service that cannot start says why, in one line", () => {
  let home: ScratchHome;
  let folder: string;
  beforeAll(async () => {
    await using hosting = await HostingProcess.start();
    await hosting.end("SIGTERM");
    home = new ScratchHome();
    folder = join(home.path, "host");
    cpSync(hosting.folder, folder, { recursive: true, filter: (path) => !path.endsWith(".sock") });
  });
  afterAll(() => home[Symbol.dispose]());

  const serve = (host: string, port = "0") =>
    runSpl(["host", "serve", "--domain", "localhost", "--port", port], {
      home,
      env: { SPL_HOST_HOME: host },
    });

  function copy(name: string): string {
    const path = join(home.path, name);
    cpSync(folder, path, { recursive: true });
    return path;
  }

  test("with a damaged database", async () => {
    const host = copy("a");
    writeFileSync(join(host, "host.db"), "nonsense".repeat(1000));
    for (const suffix of ["-wal", "-shm"]) rmSync(join(host, `host.db${suffix}`), { force: true });
    const { status, stderr, stdout } = await serve(host);
    expect([status, stdout]).toEqual([6, ""]);
    expect(stderr).toMatch(/^the hosting database is damaged; put host\.db back from a copy[^\n]*\n$/);
  });

  test("with a damaged key", async () => {
    const host = copy("b");
    for (const bytes of [0, 31, 33]) {
      writeFileSync(join(host, "keys", "host.key"), new Uint8Array(bytes));
      const { status, stderr } = await serve(host);
      expect([bytes, status]).toEqual([bytes, 1]);
      expect(stderr).toMatch(/^[^\n]*host\.key is damaged: it has to have 32 bytes; [^\n]+\n$/);
    }
  });

  test("with a database of a newer release", async () => {
    const host = copy("c");
    using db = new Database(join(host, "host.db"));
    db.run("UPDATE version SET n = 99");
    const { status, stderr } = await serve(host);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^the hosting database has version 99[^\n]+\n$/),
    ]);
  });

  test("on the home of an instance, or of a service that runs, or a port in use", async () => {
    await using box = await Box.serving();
    const own = await runSpl(["host", "serve", "--domain", "localhost", "--port", "0"], {
      home: box.home,
      env: { SPL_HOST_HOME: box.home.env.SYNCROPEL_HOME! },
    });
    expect([own.status, own.stderr]).toEqual([
      2,
      expect.stringMatching(/is the home of an instance; [^\n]+\n$/),
    ]);

    await using hosting = await HostingProcess.start();
    const second = await runSpl(["host", "serve", "--domain", "localhost", "--port", "0"], {
      home: hosting.home,
    });
    expect([second.status, second.stderr]).toEqual([
      5,
      expect.stringMatching(/runs on [^\n]+ already; [^\n]+\n$/),
    ]);
    const port = new URL(hosting.url).port;
    const busy = await serve(copy("d"), port);
    expect([busy.status, busy.stderr]).toEqual([
      1,
      expect.stringMatching(/^port \d+ of 127\.0\.0\.1 is in use[^\n]+\n$/),
    ]);
    expect((await hosting.visitor().call("/health")).status).toBe(200);
  });
});

test("no secret is in a file of a whole run, in a process list, or in an answer to anybody else", async () => {
  await using hosting = await HostingProcess.start(...FROM_ANYWHERE);
  const visitor = someone(hosting);
  const provision = await visitor.instance("discreet");
  const { token, recovery_code } = await visitor.reveal(provision);
  await using box = boxAt(provision.url);
  await box.ok("token", "save", token);
  const lasting = await lastingOf(box);
  await visitor.call(`/v1/provision/${provision.id}/bundle`).then((response) => response.arrayBuffer());
  const recovered = someone(hosting);
  expect((await recovered.call("/v1/recover", { json: { code: recovery_code } })).status).toBe(200);
  // Answers that fail are logged.
  await someone(hosting).call(`/first-run/${provision.first_run_url.split("/").at(-1)}`, { method: "POST" });
  const key = readFileSync(join(hosting.folder, "keys", "host.key"));

  const secrets = {
    token,
    lasting,
    recovery: recovery_code!,
    link: provision.first_run_url.split("/").at(-1)!,
    session: visitor.cookie.split("=")[1]!,
    second: recovered.cookie.split("=")[1]!,
  };
  const commands = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1");
      } catch {
        return "";
      }
    })
    .join("\n");
  const listed = (await operator(hosting, "show", "discreet", "-o", "json")).stdout;
  await hosting.end("SIGTERM");
  const files = new Map<string, Buffer>();
  for (const name of readdirSync(hosting.folder, { recursive: true, encoding: "utf8" })) {
    const path = join(hosting.folder, name);
    try {
      files.set(name, readFileSync(path));
    } catch {
      // A folder, or a socket.
    }
  }
  expect([...files.keys()]).toContain("host.db");
  files.set("(database)", Buffer.from(dumpOf(join(hosting.folder, "host.db"))));
  files.set("(processes)", Buffer.from(commands));
  files.set("(shown)", Buffer.from(listed));
  for (const [name, secret] of Object.entries(secrets)) {
    expect([name, secret.length > 20]).toEqual([name, true]);
    for (const [file, bytes] of files)
      expect([name, file, bytes.includes(secret)]).toEqual([name, file, false]);
  }
  for (const [file, bytes] of files) {
    if (file !== "keys/host.key") expect([file, bytes.includes(key)]).toEqual([file, false]);
  }
});
