import { expect, test } from "bun:test";
import type { TestApp } from "../../kit/app.ts";
import { forget, meet, openPeer, pairUp, plant, sharedDigests, write } from "../../kit/peers.ts";
import { rivals } from "../../kit/records.ts";
import { seeded } from "../../kit/seeded.ts";

const MEETINGS = 1000;

test("three instances in a ring converge, in whatever order they meet", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await using c = await openPeer("c");
  const ring = [a, b, c] as [TestApp, TestApp, TestApp];
  await pairUp(a, b);
  await pairUp(b, c);
  await pairUp(c, a);
  const pick = seeded(20_261_123);
  for (let meeting = 0; meeting < MEETINGS; meeting++) {
    const self = ring[pick(3)]!;
    const other = ring[(ring.indexOf(self) + 1 + pick(2)) % 3]!;
    if (pick(2) === 0) {
      const bodies = Array.from({ length: 1 + pick(3) }, (_, i) => ({ text: `${meeting} ${i}` }));
      await write(self, `th_${pick(20)}`, bodies);
    }
    // Some records come in from outside in one envelope here and in another there.
    if (pick(4) === 0) {
      const n = pick(200);
      await plant(self, [rivals({ thread: `th_rivals_${n % 3}`, clock: n })[pick(2)]!]);
    }
    // Now and then one forgets where it was, as after a restore.
    if (pick(25) === 0) await forget(self, other);
    const { refused } = await meet(self, other);
    expect(refused.counts).toEqual({});
  }
  // What two hold before they have a place in each other's feeds, they meet in a reconciliation only.
  for (const self of ring) {
    const numbers = Array.from({ length: 30 }, (_, n) => n);
    await plant(
      self,
      numbers.map((n) => rivals({ thread: "th_restored", clock: n })[pick(2)]!),
    );
  }
  for (const self of ring) for (const other of ring) if (other !== self) await forget(self, other);
  for (let round = 0; round < 2; round++) {
    for (const self of ring) for (const other of ring) if (other !== self) await meet(self, other);
  }
  const digests = await sharedDigests(a);
  expect(Object.keys(digests)).toHaveLength(24);
  expect(await sharedDigests(b)).toEqual(digests);
  expect(await sharedDigests(c)).toEqual(digests);
  // Nothing goes round any more.
  for (const self of ring)
    for (const other of ring)
      if (other !== self) expect(await meet(self, other)).toMatchObject({ pulled: 0, deduplicated: 0 });
}, 120_000);
