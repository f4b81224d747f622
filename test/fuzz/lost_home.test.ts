import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, renameSync, rmSync } from "node:fs";
import { Daemon } from "../kit/daemon.ts";
import { runSpl, ScratchHome } from "../kit/spl.ts";
import { LIMIT_MS } from "../kit/spread.ts";

/** A home is deleted, or moved, under a daemon that runs on, and another one is put in its place. */

setDefaultTimeout(LIMIT_MS);

const record = (n: number) => ({ thread: "th_a", actor: "did:sync:user:alice", act: "DO", body: { n } });
const FLAGS = { flags: ["--insecure-localhost"] };

/** Over TCP: a connection that is kept open to the old socket has the same name as one to the new. */
function emit(daemon: Daemon, n: number): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return daemon.tcp("/v1/records", { method: "POST", headers, body: JSON.stringify(record(n)) });
}

async function fill(daemon: Daemon, from: number, n: number): Promise<void> {
  for (let i = from; i < from + n; i++) expect((await emit(daemon, i)).status).toBe(201);
}

for (const [how, take] of [
  ["deleted", (path: string) => rmSync(path, { recursive: true })],
  ["moved away", (path: string) => renameSync(path, `${path}.away`)],
] as const) {
  test(`${how}: the old daemon takes nothing in any more, and its end does no harm to the home that was restored`, async () => {
    using home = new ScratchHome();
    const folder = home.env.SYNCROPEL_HOME!;
    const bundle = `${home.path}/b.tar`;
    await using old = await Daemon.start(home, FLAGS);
    await fill(old, 0, 5);
    expect(await runSpl(["export", "--out", bundle], { home })).toMatchObject({ status: 0 });
    take(folder);
    const refused = await emit(old, 99);
    expect([refused.status, await refused.json()]).toMatchObject([
      500,
      {
        code: "store_damaged",
        detail: expect.stringContaining("was removed or replaced while it was in use"),
      },
    ]);

    expect(await runSpl(["restore", bundle], { home })).toMatchObject({ status: 0 });
    await using fresh = await Daemon.start(home, FLAGS);
    await fill(fresh, 5, 5);
    expect((await emit(old, 99)).status).toBe(500);
    expect(await old.end("SIGTERM")).toBe(0);
    await fill(fresh, 10, 5);
    const { db, daemon, socket } = fresh.paths;
    expect([`${db}-wal`, daemon, socket].map((path) => existsSync(path))).toEqual([true, true, true]);
    const status = await runSpl(["status", "-o", "json"], { home });
    const { pid, digest } = JSON.parse(status.stdout) as { pid: number; digest: string };
    expect(pid).toBe(fresh.pid);
    await fresh.end("SIGKILL");
    await using again = await Daemon.start(home);
    expect(await again.json("/v1/status")).toMatchObject({ records: 15, digest });
    expect(await runSpl(["doctor", "--deep"], { home })).toMatchObject({ status: 0, stderr: "" });
    expect(await again.end("SIGTERM")).toBe(0);
  });
}
