import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { emission } from "../kit/app.ts";
import { Box } from "../kit/box.ts";
import { changeBoxPair, pairBoxes, syncBox, whoIs } from "../kit/paired.ts";
import { until } from "../kit/until.ts";

setDefaultTimeout(60_000);

/** Peers of an instance that was rolled back: what they hold may come back, and nobody diverges for ever. */

let stranger: Box;
let bundle: string;

beforeAll(async () => {
  stranger = await Box.serving("--name", "stranger");
  await stranger.emit([1, 2, 3].map((n) => emission(`th_${n}`, `of the stranger ${n}`)));
  bundle = stranger.file("b.tar");
  await stranger.ok("export", "--out", bundle);
});
afterAll(() => stranger[Symbol.asyncDispose]());

/** The digest of each thread that may cross. */
async function sharedBy(box: Box): Promise<object[]> {
  const threads = await box.json<{ thread: string; records: number }[]>("thread", "list");
  const shown = threads.filter(({ thread }) => thread !== "th_federation_pairs");
  const each = shown.map(({ thread }) => box.json<{ digest: string }>("thread", "show", thread));
  return (await Promise.all(each)).map(({ digest }, n) => ({ thread: shown[n]!.thread, digest }));
}

/** Syncs both ways until neither has anything for the other. */
async function settle(a: Box, b: Box): Promise<void> {
  for (const box of [a, b, a, b]) expect((await syncBox(box)).outcomes).toMatchObject([{ failure: null }]);
  for (const box of [a, b]) expect((await syncBox(box)).outcomes).toMatchObject([{ pulled: 0 }]);
  expect(await sharedBy(a)).toEqual(await sharedBy(b));
}

test("what the peer pulled before comes back; what it never saw is in the copy only", async () => {
  await using a = await Box.joining();
  await using b = await Box.joining();
  await pairBoxes(a, b);
  for (const box of [a, b]) await box.emit([emission("th_own", `by ${box === a ? "a" : "b"}`)]);
  await settle(a, b);
  const { records } = await a.json<{ records: number }>("status");

  await a.ok("import", "--force-overwrite", "--keep-identity", bundle);
  await a.emit([emission("th_own", "seen by the peer")]);
  expect((await syncBox(b)).outcomes).toMatchObject([{ pulled: 4 }]);
  await a.emit([emission("th_own", "seen by nobody")]);
  const undone = await a.json<{ copy: string }>("rollback", "--yes");
  expect(undone).toMatchObject({ removed: 5, removed_local: 2, records });
  // The same place in the thread as a record that only the peer still has: a fork, on both sides.
  await a.emit([emission("th_own", "written anew")]);
  await b.emit([emission("th_own", "by b again")]);

  expect((await syncBox(a)).outcomes).toMatchObject([{ pulled: 5, failure: null }]);
  await settle(a, b);
  expect(await a.ok("thread", "records", "th_own")).not.toContain("seen by nobody");
  await a.ok("import", "--force-overwrite", "--keep-identity", undone.copy);
  await settle(a, b);
  expect(await b.ok("thread", "records", "th_own")).toContain("seen by nobody");
});

test("an adoption that was taken back: the pair of before is there again, both ways", async () => {
  await using a = await Box.joining();
  await using b = await Box.joining();
  await pairBoxes(a, b);
  await b.emit([emission("th_own", "before")]);
  await settle(a, b);
  const own = (await whoIs(a)).did;
  await a.ok("import", "--force-overwrite", bundle);
  expect(await a.json("federation", "list")).toEqual([] as never);
  await b.emit([emission("th_own", "meanwhile")]);
  await a.ok("rollback", "--yes");
  expect((await whoIs(a)).did).toBe(own);
  await a.emit([emission("th_new", "after")]);
  await settle(a, b);
  expect(await a.ok("thread", "records", "th_own")).toContain("meanwhile");
  expect(await b.ok("thread", "records", "th_new")).toContain("after");
});

test("peers that follow each other as it happens go on", async () => {
  await using a = await Box.joining();
  await using b = await Box.joining();
  await pairBoxes(a, b);
  for (const [box, other] of [
    [a, b],
    [b, a],
  ] as const) {
    await syncBox(box);
    await changeBoxPair(box, (await whoIs(other)).did, { mode: "continuous" });
  }
  const holds = (box: Box, thread: string) =>
    until(
      () => box.json<{ thread: string }[]>("thread", "list"),
      (threads) => threads.some((each) => each.thread === thread),
    );
  await b.emit([emission("th_first", "first")]);
  await holds(a, "th_first");
  await a.ok("import", "--force-overwrite", "--keep-identity", bundle);
  await holds(b, "th_3");
  await a.ok("rollback", "--yes");
  await b.emit([emission("th_second", "second")]);
  await a.emit([emission("th_third", "third")]);
  await holds(a, "th_second");
  await holds(b, "th_third");
  // They bring back what the other still has.
  await holds(a, "th_3");
  expect(
    await until(
      () => sharedBy(a),
      (threads) => threads.length === 6,
    ),
  ).toEqual(await sharedBy(b));
});
