import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compareOrder } from "../../../lib/record/order.ts";
import type { Entry } from "../../../lib/record/types.ts";
import { NAMESPACES_OF_RECORDS } from "../../../lib/store/schema.ts";
import type { SqliteStore } from "../../../lib/store/sqlite.ts";
import { makeEntry, testSigner } from "../../kit/records.ts";
import { newStore, ScratchFolder } from "../../kit/store.ts";

const [own, other] = [testSigner(1), testSigner(2)];

async function collect<T>(batches: AsyncIterable<T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}

/** Everything about a store that two equal instances share. */
function portrait(store: SqliteStore) {
  return store.read(async (reader) => {
    const threads = await collect(reader.threads());
    const heads = [];
    for (const { thread } of threads)
      heads.push((await reader.heads(thread, 1000)).map((head) => head.id).sort());
    return {
      totals: await reader.totals(),
      threads,
      heads,
      actors: await collect(reader.actors()),
      signers: await collect(reader.signers()),
      entries: await collect(reader.entries()),
    };
  });
}

/** A small web of records: chains, forks, foreign signers, two envelopes of one id, gaps. */
function web(): Entry[] {
  const a0 = makeEntry({ body: { goal: "a" } });
  const a1 = makeEntry({ clock: 1, parents: [a0.id] });
  const fork = makeEntry({ clock: 1, parents: [a0.id], body: { fork: true } }, { signer: other });
  const join = makeEntry({ clock: 2, parents: [a1.id, fork.id].sort() });
  const again = makeEntry({ clock: 2, parents: [a1.id, fork.id].sort() }, { signer: other, judgedBy: a0.id });
  const b0 = makeEntry({ thread: "th_b", actor: "did:sync:user:bob" });
  const gap = makeEntry({ thread: "th_b", clock: 9, parents: ["ab".repeat(32)] });
  return [a0, a1, fork, join, again, b0, gap];
}

/** Threads that several records open, and some that one opens by what is no namespace. */
function opened(): Entry[] {
  const several = ["team", "default", "ü", "𝄞", 'with "quotes" and \\u0000'].map((namespace) =>
    makeEntry({ thread: "th_several", body: { namespace } }),
  );
  const odd = ["", null, 5, ["team"], "a\nb", "nul\0", "x".repeat(257)].map((namespace, n) =>
    makeEntry({ thread: `th_odd_${n}`, body: { namespace } }),
  );
  const beside = makeEntry({ thread: "th_odd_0", body: {} });
  const many = Array.from({ length: 70 }, (_, n) =>
    makeEntry({ thread: "th_many", body: { namespace: `n${n % 66}` } }),
  );
  return [...several, ...odd, beside, ...many];
}

test("an upgrade finds the namespaces that inserting finds", async () => {
  using folder = new ScratchFolder();
  const store = await newStore(folder, [own, other], "store.db");
  await store.transact((writer) => writer.insert(opened()));
  await store.close();
  using db = new Database(folder.file("store.db"));
  const sql = `SELECT thread, namespace FROM threads WHERE namespace <> ${NAMESPACES_OF_RECORDS}`;
  // It takes the text for the character.
  expect(db.query(sql).all()).toMatchObject([{ thread: "th_several" }]);
});

describe("inserting", () => {
  test("the same set in any order and any batches gives the same store", async () => {
    const entries = [...web(), ...opened()];
    using folder = new ScratchFolder();
    let round = 0;
    const expected: unknown[] = [];
    const order = fc.shuffledSubarray(entries, { minLength: entries.length });
    await fc.assert(
      fc.asyncProperty(order, fc.integer({ min: 1, max: entries.length }), async (shuffled, size) => {
        const store = await newStore(folder, [own, other], `${round++}.db`);
        for (let at = 0; at < shuffled.length; at += size) {
          await store.transact((writer) => writer.insert(shuffled.slice(at, at + size)));
        }
        const seen = await portrait(store);
        await store.close();
        if (expected.length === 0) expected.push(seen);
        expect(seen).toEqual(expected[0] as typeof seen);
      }),
      { numRuns: 30, seed: 7 },
    );
  });

  test("counts, heads, forks and order are what the records say", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder, [own, other]);
    const entries = web();
    const result = await store.transact((writer) => writer.insert(entries));
    expect(result.inserted).toBe(6);
    expect(result.deduplicated + result.replaced).toBe(1);
    const { totals, threads, heads, actors, entries: stored } = await portrait(store);
    expect(totals).toMatchObject({ records: 6, threads: 2, forks: 1 });
    expect(threads.map((t) => [t.thread, t.records, t.forks, t.clock])).toEqual([
      ["th_a", 4, 1, 2],
      ["th_b", 2, 0, 9],
    ]);
    expect(heads[0]).toEqual([entries[3]!.id]);
    expect(heads[1]).toEqual([entries[5]!.id, entries[6]!.id].sort());
    expect(actors).toEqual([
      { actor: "did:sync:user:alice", records: 5 },
      { actor: "did:sync:user:bob", records: 1 },
    ]);
    const threadA = stored.filter((entry) => entry.thread === "th_a");
    expect(threadA).toEqual([...threadA].sort(compareOrder));
    expect(await store.read((reader) => reader.forks())).toEqual([
      {
        thread: "th_a",
        actor: "did:sync:user:alice",
        clock: 1,
        ids: [entries[1]!.id, entries[2]!.id].sort(),
      },
    ]);
    await store.close();
  });

  test("of two envelopes of one id the bytewise smaller stays, whichever came first", async () => {
    using folder = new ScratchFolder();
    const pair = [makeEntry({}, { signer: own }), makeEntry({}, { signer: other })];
    const smaller = [own.did, other.did].sort()[0]!;
    for (const [name, order] of [
      ["x.db", pair],
      ["y.db", [...pair].reverse()],
    ] as const) {
      const store = await newStore(folder, [own, other], name);
      for (const entry of order) await store.transact((writer) => writer.insert([entry]));
      expect((await store.read((reader) => reader.record(pair[0]!.id)))?.signer).toBe(smaller);
      await store.close();
    }
  });

  test("a transaction that throws leaves nothing", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder);
    const before = await portrait(store);
    const failing = store.transact(async (writer) => {
      await writer.insert([makeEntry()]);
      throw new Error("stop");
    });
    expect(failing).rejects.toThrow("stop");
    await failing.catch(() => undefined);
    expect(await portrait(store)).toEqual(before);
    await store.close();
  });

  test("a record by an unknown signer is refused", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder, [own]);
    expect(store.transact((writer) => writer.insert([makeEntry({}, { signer: other })]))).rejects.toThrow(
      "was not put before",
    );
    await store.close();
  });
});

describe("rebuilding", () => {
  test("gives the values that were kept incrementally", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder, [own, other]);
    for (const entry of web()) await store.transact((writer) => writer.insert([entry]));
    const before = await portrait(store);
    expect(await store.transact((writer) => writer.rebuild())).toEqual({ changed: false });
    expect(await portrait(store)).toEqual(before);
    await store.close();
  });

  test("mends values that were damaged, and says so", async () => {
    using folder = new ScratchFolder();
    const store = await newStore(folder, [own, other]);
    await store.transact((writer) => writer.insert(web()));
    const before = await portrait(store);
    await store.close();
    const { Database } = await import("bun:sqlite");
    const raw = new Database(folder.file("hub.db"));
    raw.run("UPDATE totals SET records = 99, digest = zeroblob(32)");
    raw.run("UPDATE threads SET forks = 0, clock = 0");
    raw.run("DELETE FROM heads");
    raw.run("DELETE FROM gaps");
    raw.run("UPDATE actors SET records = 1");
    raw.run("UPDATE signers SET records = 0");
    raw.close();
    const { SqliteStore } = await import("../../../lib/store/sqlite.ts");
    const again = SqliteStore.open(folder.file("hub.db"));
    expect(await again.transact((writer) => writer.rebuild())).toEqual({ changed: true });
    expect(await portrait(again)).toEqual(before);
    await again.close();
  });
});
