import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { SplError } from "../../../lib/base/errors.ts";
import { migrate } from "../../../lib/hosting/database.ts";
import { Registry } from "../../../lib/hosting/registry.ts";
import { SqliteDatabase } from "../../../server/hosting/sqlite.ts";
import { ScratchHome } from "../../kit/spl.ts";

/** What the hosting service remembers, in SQLite, by two connections as two processes have them. */

const NOW = 1_000_000;
const MOST = { owner: 3, all: 100 };
const PLAN = { name: "free", cpus: 1, memory_mb: 256, disk_gb: 1 };

let home: ScratchHome;
let open: SqliteDatabase[];
let one: Registry;
let two: Registry;

beforeEach(async () => {
  home = new ScratchHome();
  open = [0, 1].map(() => new SqliteDatabase(join(home.path, "host.db")));
  await migrate(open[0]!);
  [one, two] = open.map((db) => new Registry(db)) as [Registry, Registry];
});

afterEach(() => {
  for (const db of open) db.close();
  home[Symbol.dispose]();
});

function wanted(label: string, n: number, owner = `owner-${n}`) {
  return { id: `id-${n}`, label, url: `http://${label}.example`, owner, plan: PLAN, link: `hash-${n}-1` };
}

/** Code of what it throws, or `done`. */
async function outcome(task: Promise<unknown>): Promise<string> {
  return task.then(
    () => "done",
    (error) => (error instanceof SplError ? error.code : String(error)),
  );
}

/** 50 at once, in turns by either connection. */
async function fifty(
  task: (registry: Registry, n: number) => Promise<unknown>,
): Promise<Record<string, number>> {
  const outcomes = await Promise.all(
    Array.from({ length: 50 }, (_, n) => outcome(task(n % 2 ? one : two, n))),
  );
  return Object.fromEntries(
    [...Map.groupBy(outcomes, (each) => each)].map(([code, all]) => [code, all.length]),
  );
}

async function made(label: string, n: number): Promise<string> {
  await one.reserve(wanted(label, n), MOST, null, NOW);
  await one.becomeReady(`id-${n}`, "did:x", NOW);
  return `id-${n}`;
}

describe("a label", () => {
  test("goes to one of fifty that want it at once", async () => {
    const reserve = (registry: Registry, n: number) => registry.reserve(wanted("myteam", n), MOST, null, NOW);
    expect(await fifty(reserve)).toEqual({ done: 1, label_taken: 49 });
    expect(await one.list()).toHaveLength(1);
    const { id } = (await one.byLabel("myteam"))!;
    expect((await two.phases(id)).map(({ phase }) => phase)).toEqual(["reserve"]);
  });

  test("of an instance that never came to be is free again", async () => {
    await one.reserve(wanted("myteam", 1), MOST, null, NOW);
    await one.beginFailing("id-1", { code: "internal", phase: "boot", message: "m", hint: null });
    expect(await outcome(two.reserve(wanted("myteam", 2), MOST, null, NOW))).toBe("label_taken");
    await one.becomeFailed("id-1", NOW);
    expect(await two.isTaken("myteam")).toBe(false);
    await two.reserve(wanted("myteam", 2), MOST, null, NOW);
    expect((await one.byLabel("myteam"))!.id).toBe("id-2");
  });

  test.each(["left", "deleted"] as const)(
    "of an instance that was %s is given to nobody else",
    async (state) => {
      const id = await made("myteam", 1);
      expect(await one.move(id, "ready", "ending")).toBe(true);
      expect(await one.beginRemoving(id, state, "did:y", "nobody")).toBe(false);
      await one.takeLease(id, "me", NOW + 1, NOW);
      expect(await one.beginRemoving(id, state, "did:y", "somebody else")).toBe(false);
      expect(await one.beginRemoving(id, state, "did:y", "me")).toBe(true);
      await one.becomeEnded(id, state, NOW);
      expect(await outcome(two.reserve(wanted("myteam", 2), MOST, null, NOW))).toBe("label_taken");
      expect(await outcome(two.reserve(wanted("myteam", 3, "owner-1"), MOST, null, NOW))).toBe("label_taken");
      expect(await one.byLabel("myteam")).toMatchObject({ id, state, did: "did:y", handles: {} });
    },
  );
});

describe("limits", () => {
  test("of an owner hold for fifty at once, and count what is there only", async () => {
    const reserve = (registry: Registry, n: number) =>
      registry.reserve(wanted(`label-${n}`, n, "alice"), MOST, null, NOW);
    expect(await fifty(reserve)).toEqual({ done: 3, limit_reached: 47 });
    const [first] = await one.list({ owner: "alice" });
    await one.becomeFailed(first!.id, NOW);
    expect(await outcome(two.reserve(wanted("another", 100, "alice"), MOST, null, NOW))).toBe("done");
    expect(await outcome(two.reserve(wanted("onemore", 101, "alice"), MOST, null, NOW))).toBe(
      "limit_reached",
    );
    expect(await outcome(two.reserve(wanted("onemore", 101, "bob"), MOST, null, NOW))).toBe("done");
  });

  test("of the service hold for fifty at once", async () => {
    const most = { owner: 3, all: 7 };
    const reserve = (registry: Registry, n: number) =>
      registry.reserve(wanted(`label-${n}`, n), most, null, NOW);
    expect(await fifty(reserve)).toEqual({ done: 7, limit_reached: 43 });
  });

  test("a refusal leaves nothing", async () => {
    await outcome(one.reserve(wanted("myteam", 1), { owner: 0, all: 0 }, null, NOW));
    expect(await one.list()).toEqual([]);
    expect(await one.isTaken("myteam")).toBe(false);
    expect(await one.phases("id-1")).toEqual([]);
  });
});

describe("an invitation", () => {
  const invite = (expires = NOW + 1000) => one.addInvitation("hash", expires, NOW);

  test("is used once, by one of fifty", async () => {
    await invite();
    const reserve = (registry: Registry, n: number) =>
      registry.reserve(wanted(`label-${n}`, n), MOST, "hash", NOW);
    expect(await fifty(reserve)).toEqual({ done: 1, forbidden: 49 });
  });

  test("is not used by who does not get the label, and is free again after a failure", async () => {
    await invite();
    await one.reserve(wanted("occupied", 1), MOST, null, NOW);
    expect(await outcome(one.reserve(wanted("occupied", 2), MOST, "hash", NOW))).toBe("label_taken");
    await one.reserve(wanted("myteam", 3), MOST, "hash", NOW);
    expect(await two.isInvited("hash", NOW)).toBe(false);
    await one.becomeFailed("id-3", NOW);
    expect(await outcome(two.reserve(wanted("myteam", 4), MOST, "hash", NOW))).toBe("done");
  });

  test("that has expired, or that nobody made, is none", async () => {
    await invite(NOW);
    expect(await outcome(one.reserve(wanted("myteam", 1), MOST, "hash", NOW))).toBe("forbidden");
    expect(await outcome(one.reserve(wanted("myteam", 1), MOST, "other", NOW))).toBe("forbidden");
    expect(await one.isTaken("myteam")).toBe(false);
  });
});

describe("one-shot links", () => {
  test("are claimed by one of fifty, and by nobody once another has taken their place", async () => {
    await made("myteam", 1);
    const claims: boolean[] = [];
    await fifty(async (registry) => claims.push(await registry.claimLink("hash-1-1", NOW)));
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect(await one.addLink("id-1", (n) => `hash-${n}`, NOW)).toBe(2);
    await one.releaseLink("hash-1-1");
    expect(await two.claimLink("hash-1-1", NOW)).toBe(false);
    expect(await two.claimLink("hash-2", NOW)).toBe(true);
  });

  test("that fifty make at once have numbers of their own, and one is good", async () => {
    await made("myteam", 1);
    const numbers: number[] = [];
    await fifty(async (registry) => numbers.push(await registry.addLink("id-1", (n) => `hash-${n}`, NOW)));
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => n + 2));
    expect(await one.claimLink("hash-1-1", NOW)).toBe(false);
    const good = await Promise.all(numbers.map((n) => one.claimLink(`hash-${n}`, NOW)));
    expect(good.flatMap((claimed, at) => (claimed ? [numbers[at]] : []))).toEqual([51]);
  });

  test("of an instance that has ended are void", async () => {
    const id = await made("myteam", 1);
    await one.move(id, "ready", "ending");
    await one.takeLease(id, "me", NOW + 1, NOW);
    await one.beginRemoving(id, "deleted", null, "me");
    await one.becomeEnded(id, "deleted", NOW);
    expect(await one.claimLink("hash-1-1", NOW)).toBe(false);
  });
});

test("a state is left by one of fifty", async () => {
  const id = await made("myteam", 1);
  const moved: boolean[] = [];
  await fifty(async (registry) => moved.push(await registry.move(id, "ready", "ending")));
  expect(moved.filter(Boolean)).toHaveLength(1);
});

test("calls are counted by source, kind and window, by either connection", async () => {
  const counts: number[] = [];
  await fifty(async (registry) => counts.push(await registry.countCall("192.0.2.1", "GET /", 5)));
  expect(Math.max(...counts)).toBe(50);
  expect(await one.countCall("192.0.2.2", "GET /", 5)).toBe(1);
  expect(await one.countCall("192.0.2.1", "POST /", 5)).toBe(1);
  expect(await one.countCall("192.0.2.1", "GET /", 6)).toBe(1);
});

describe("the database file", () => {
  test("of a newer release is refused, and is brought up to date by many at once", async () => {
    using other = new ScratchHome();
    const path = join(other.path, "host.db");
    const many = Array.from({ length: 5 }, () => new SqliteDatabase(path));
    await Promise.all(many.map(migrate));
    await many[0]!.run("UPDATE version SET n = 99");
    expect(await outcome(migrate(many[1]!))).toBe("store_newer");
    for (const db of many) db.close();
  });

  test("that is damaged is refused in one line that says what is whole", async () => {
    using other = new ScratchHome();
    const path = join(other.path, "host.db");
    await Bun.write(path, "this is no database, and long enough to be looked at".repeat(100));
    try {
      new SqliteDatabase(path);
      throw new Error("it was opened");
    } catch (error) {
      expect(error).toMatchObject({ code: "store_damaged", message: "the hosting database is damaged" });
      expect((error as SplError).hint).toContain("host.db");
    }
  });
});
