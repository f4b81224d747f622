import { expect, test } from "bun:test";
import { emit } from "../../../lib/instance/emit.ts";
import { listThreads, recordsSince, threadRecords } from "../../../lib/instance/threads.ts";
import { ALICE, emission, exported, imported, newInstance } from "../../kit/instances.ts";
import { ScratchFolder } from "../../kit/store.ts";

const MEBIBYTE = 1024 * 1024;

test("a page of large records is cut by their size, and the pages together hold each of them once", async () => {
  using folder = new ScratchFolder();
  const instance = await newInstance(folder, "a");
  const large = Array.from({ length: 12 }, (_, i) =>
    emission({ body: { text: `${i}`.padEnd(1_000_000, "x") } }),
  );
  await emit(instance, large, { actor: ALICE });
  const thread: number[] = [];
  for (let after: { clock: number; actor: string; id: string } | undefined, more = true; more; ) {
    const page = await threadRecords(instance, "th_a", { limit: 100, ...(after && { after }) });
    expect(page.items.reduce((sum, item) => sum + item.canonical.length, 0)).toBeLessThan(6 * MEBIBYTE);
    thread.push(...page.items.map((item) => item.clock));
    after = page.items.at(-1);
    more = page.more;
  }
  const feed: number[] = [];
  for (let after = 0, more = true; more; ) {
    const page = await recordsSince(instance, { after, limit: 100 });
    expect(page.items.length).toBeLessThan(7);
    feed.push(...page.items.map((item) => item.seq));
    after = page.next;
    more = page.more;
  }
  expect(thread).toEqual(large.map((_, i) => i));
  expect(feed).toEqual(large.map((_, i) => i + 1));
  await instance.close();
});

test("whoever follows one thread does not look twice at what others wrote", async () => {
  using folder = new ScratchFolder();
  const instance = await newInstance(folder, "a");
  await emit(instance, [emission(), emission({ thread: "th_b" }), emission({ thread: "th_b" })], {
    actor: ALICE,
  });
  const first = await recordsSince(instance, { after: 0, thread: "th_a", limit: 1 });
  expect(first).toMatchObject({ items: [{ seq: 1 }], more: true, next: 1 });
  expect(await recordsSince(instance, { after: first.next, thread: "th_a", limit: 1 })).toEqual({
    items: [],
    more: false,
    next: 3,
  });
  expect(await recordsSince(instance, { after: 3, thread: "th_none", limit: 1 })).toMatchObject({
    items: [],
  });
  await instance.close();
});

test("a replaced envelope comes again in the feed, behind everything that was there", async () => {
  using folder = new ScratchFolder();
  const [a, b] = await Promise.all(["a", "b"].map((name) => newInstance(folder, name)));
  const same = emission({ clock: 0, parents: [] });
  for (const instance of [a!, b!]) await emit(instance, [same], { actor: ALICE });
  const options = { forceOverwrite: true, keepIdentity: true };
  const seqs: number[] = [];
  for (const [into, from] of [
    ["a", "b"],
    ["b", "a"],
  ] as const) {
    await imported(folder.file(into), await exported(folder.file(from)), options);
    const { items } = await recordsSince(into === "a" ? a! : b!, { after: 0, limit: 10 });
    seqs.push(...items.map((item) => item.seq));
  }
  expect(seqs.sort()).toEqual([1, 2]);
  await Promise.all([a!.close(), b!.close()]);
});

test("listing threads lets other requests be answered meanwhile", async () => {
  using folder = new ScratchFolder();
  const instance = await newInstance(folder, "a");
  await emit(
    instance,
    Array.from({ length: 5000 }, (_, i) => emission({ thread: `th_${i % 2}` })),
    { actor: ALICE },
  );
  let turns = 0;
  let waiting: NodeJS.Immediate | undefined;
  const turn = () => {
    turns++;
    waiting = setImmediate(turn);
  };
  turn();
  const { items } = await listThreads(instance, { limit: 100 });
  clearImmediate(waiting);
  expect(items.map((item) => item.records)).toEqual([2500, 2500]);
  expect(turns).toBeGreaterThan(4);
  await instance.close();
});

test("a page of threads with large goals is cut by their size", async () => {
  using folder = new ScratchFolder();
  const instance = await newInstance(folder, "a");
  const goal = "g".repeat(1_000_000);
  await emit(
    instance,
    Array.from({ length: 9 }, (_, i) => emission({ thread: `th_${i}`, act: "INTEND", body: { goal } })),
    { actor: ALICE },
  );
  const listed: string[] = [];
  for (let after: string | null = ""; after !== null; ) {
    const page = await listThreads(instance, { after, limit: 100 });
    expect(page.items.length).toBeLessThan(7);
    listed.push(...page.items.map((item) => item.thread));
    after = page.next;
  }
  expect(listed).toEqual(Array.from({ length: 9 }, (_, i) => `th_${i}`));
  await instance.close();
});
