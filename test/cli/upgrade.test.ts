import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { homePaths } from "../../lib/base/home.ts";
import { SCHEMA_VERSION } from "../../lib/store/schema.ts";
import { takeSnapshot } from "../../lib/store/snapshot.ts";
import { Box } from "../kit/box.ts";
import { copyReleased, RELEASES } from "../kit/released.ts";
import { filesOf, snapshot } from "../kit/snapshot.ts";
import { runCommand } from "../kit/spl.ts";
import { until } from "../kit/until.ts";

setDefaultTimeout(60_000);

/** The store's schema goes on with a release, and a way leads back. */

const pathsOf = (box: Box) => homePaths(box.home.env.SYNCROPEL_HOME!);

function schemaOf(path: string): number {
  using db = new Database(path, { readonly: true });
  return (db.query("PRAGMA user_version").get() as { user_version: number }).user_version;
}

/** Makes the store one of a release that is not there yet. */
function age(db: string): void {
  using store = new Database(db);
  store.run(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
}

const copiesIn = (box: Box) => readdirSync(pathsOf(box).home).filter((name) => name.endsWith(".bak"));

for (const release of RELEASES) {
  const schema = Number(release.split("-").at(-1));

  test(`a home of ${release} is copied before its schema changes, once, and the log names the copy`, async () => {
    await using box = new Box();
    const { home, db, log } = pathsOf(box);
    copyReleased(release, home);
    await box.serve();
    const { records, digest } = await box.json("status");
    const [name, ...more] = copiesIn(box);
    expect(more).toEqual([]);
    expect(name).toMatch(new RegExp(`^hub\\.db\\.v${schema}-\\d{8}T\\d{6}Z\\.bak$`));
    const copy = join(home, name!);
    expect(readFileSync(log, "utf8")).toContain(
      ` upgrade from=${schema} to=${SCHEMA_VERSION} snapshot=${copy}\n`,
    );
    expect(JSON.parse((await box.ok("audit")).trim().split("\n").at(-1)!)).toMatchObject({
      event: "upgrade",
      detail: { from: schema, to: SCHEMA_VERSION, snapshot: copy },
    });
    expect([schemaOf(copy), statSync(copy).mode & 0o777]).toEqual([schema, 0o600]);
    await box.stop();
    expect(schemaOf(db)).toBe(SCHEMA_VERSION);
    await box.serve();
    expect(copiesIn(box)).toEqual([name!]);
    expect(await box.json("status")).toMatchObject({ records, digest });
  });
}

for (const release of RELEASES) {
  const schema = Number(release.split("-").at(-1));

  test(`a diagnosis leaves a home of ${release} as it is; a command that upgrades it without a daemon names the copy`, async () => {
    await using box = new Box();
    const { home, db } = pathsOf(box);
    copyReleased(release, home);
    // SQLite may leave its log there, with nothing in it.
    const stored = () => ({
      ...filesOf(home),
      "hub.db-wal": existsSync(`${db}-wal`) ? statSync(`${db}-wal`).size : 0,
    });
    const files = stored();
    for (const flags of [[], ["--deep"], ["--rebuild"]]) {
      const { stdout, status } = await box.spl(["doctor", ...flags]);
      expect(stdout).toContain("PASS  store ");
      expect(stdout.includes("WARN  rebuild      nothing is rebuilt before the store is upgraded")).toBe(
        flags.includes("--rebuild"),
      );
      expect(stdout).toContain(
        `WARN  schema       the store is of an earlier release (schema ${schema}, this one has ${SCHEMA_VERSION}): the rest is examined when it is upgraded  → spl serve --daemon copies it, then upgrades it\n`,
      );
      expect(stdout).toContain("PASS  identity ");
      expect({ stdout, status }).toMatchObject({ status: 1 });
      expect(stored()).toEqual(files);
    }
    const offline = {
      export: ["export", "--offline", "--out", "x.tar"],
      rollback: ["rollback", "list", "--offline"],
    };
    const command = schema === 1 ? offline.rollback : offline.export;
    const { stderr, status } = await box.spl(command);
    const [copy] = copiesIn(box);
    expect({ stderr, status }).toEqual({
      stderr: expect.stringContaining(
        `the store was of an earlier release and is upgraded; a copy of before is ${join(home, copy!)}\n`,
      ),
      status: 0,
    });
    expect(schemaOf(db)).toBe(SCHEMA_VERSION);
    expect((await box.spl(command.map((word) => (word === "x.tar" ? "y.tar" : word)))).stderr).not.toContain(
      "earlier",
    );
  });
}

test("an import of a release that kept no way back is shown, and not undone", async () => {
  await using box = new Box();
  copyReleased("0.33.0-schema-3", pathsOf(box).home);
  await box.serve();
  expect(await box.json("rollback", "list")).toMatchObject([{ n: 1, inserted: 2, state: "kept" }]);
  expect(await box.ok("rollback", "list")).toContain("no way back");
  const before = await snapshot(box);
  expect(await box.spl(["rollback", "--yes"])).toEqual({
    stdout: "",
    stderr:
      "rollback refused: an earlier release made batch 1, and kept no way back from it; spl restore FILE --home DIR makes a home from a backup of before\n",
    status: 5,
  });
  expect((await snapshot(box)).status).toEqual(before.status);
  // What comes in from now on can be undone.
  await using other = await Box.serving();
  await other.ok("do", "something");
  await other.ok("export", "--out", other.file("b.tar"));
  await box.ok("import", "--force-overwrite", "--keep-identity", other.file("b.tar"));
  expect(await box.json("rollback", "--yes")).toMatchObject({
    batch: 2,
    removed: 1,
    digest: before.status.digest,
  });
});

test("a store of a newer release is left alone by every command; what the message says to type leads back", async () => {
  await using box = await Box.serving();
  await box.ok("do", "before the upgrade");
  const before = await box.json("status");
  await box.stop();
  const { home, db } = pathsOf(box);
  {
    using store = new Database(db);
    takeSnapshot(store, db, SCHEMA_VERSION);
  }
  await box.serve();
  await box.ok("do", "after the upgrade");
  await box.stop();
  age(db);
  const bytes = readFileSync(db);
  const [copy] = copiesIn(box);
  let line = "";
  for (const args of [
    ["serve", "--port", "0", "--isolated"],
    ["serve", "--daemon", "--port", "0", "--isolated"],
    ["export", "--offline", "--out", "x.tar"],
    ["rollback", "list", "--offline"],
  ]) {
    const { stdout, stderr, status } = await box.spl(args);
    expect({ args, stdout, status }).toEqual({ args, stdout: "", status: 1 });
    expect(stderr).toContain(
      `${db} was written by a newer spl (store schema ${SCHEMA_VERSION + 1}, this release knows ${SCHEMA_VERSION}); upgrade spl; or go back to before the upgrade, without what came later: cd ${home} && `,
    );
    line = stderr.trimEnd().split("without what came later: ")[1]!;
  }
  expect(line).toEndWith(` && cp ${copy} hub.db`);
  expect(readFileSync(db).equals(bytes)).toBe(true);
  const typed = await runCommand(["bash", "-c", line], { env: { PATH: process.env.PATH! } });
  expect(typed).toEqual({ stdout: "", stderr: "", status: 0 });
  await box.serve();
  const { records, digest, instance_did } = before;
  expect(await box.json("status")).toMatchObject({ records, digest, instance_did });
  expect(await box.ok("doctor", "--deep")).not.toContain("FAIL");
  // Nothing is lost: the newer release opens what was moved away.
  expect(schemaOf(join(home, "newer", "hub.db"))).toBe(SCHEMA_VERSION + 1);
});

test("what is typed to go back works behind a newer daemon that was killed, in a home with any name", async () => {
  await using box = await Box.serving();
  await box.ok("do", "before the upgrade");
  const before = await box.json("status");
  await box.stop();
  const named = box.file("it's me");
  renameSync(pathsOf(box).home, named);
  box.home.env.SYNCROPEL_HOME = named;
  const { db, daemon } = pathsOf(box);
  {
    using store = new Database(db);
    takeSnapshot(store, db, SCHEMA_VERSION);
  }
  await box.serve();
  await box.ok("do", "after the upgrade");
  const { pid } = await box.json<{ pid: number }>("status");
  age(db);
  process.kill(pid, "SIGKILL");
  const refused = () => box.spl(["export", "--offline", "--out", "x.tar"]);
  const { stderr } = await until(refused, ({ stderr }) => !stderr.includes("is running"));
  const line = stderr.trimEnd().split("without what came later: ")[1]!;
  expect(await runCommand(["bash", "-c", line], { env: { PATH: process.env.PATH! } })).toEqual({
    stdout: "",
    stderr: "",
    status: 0,
  });
  expect(existsSync(daemon)).toBe(false);
  await box.serve();
  const { records, digest, instance_did } = before;
  expect(await box.json("status")).toMatchObject({ records, digest, instance_did });
  // The newer release finds the log that it looks for as well.
  expect(readdirSync(join(named, "newer"))).toEqual(
    expect.arrayContaining(["daemon.json", "hub.db", "hub.db-wal"]),
  );
});

test("without a copy, a store of a newer release is refused with the ways there are", async () => {
  await using box = await Box.serving();
  await box.stop();
  age(pathsOf(box).db);
  const { stderr, status } = await box.spl(["export", "--offline", "--out", "x.tar"]);
  expect({ stderr, status }).toEqual({
    stderr: `${pathsOf(box).db} was written by a newer spl (store schema ${SCHEMA_VERSION + 1}, this release knows ${SCHEMA_VERSION}); upgrade spl, or spl restore a bundle of this instance into another home\n`,
    status: 1,
  });
  expect(existsSync(box.file("x.tar"))).toBe(false);
});
