import { expect, test } from "bun:test";
import { concatBytes, fromHex } from "../../../lib/base/bytes.ts";
import { stepReconciliation } from "../../../lib/federation/reconcile.ts";
import { DIGEST, type PeerCall } from "../../../lib/federation/sync.ts";
import { fingerprint } from "../../../lib/record/digest.ts";
import type { Entry } from "../../../lib/record/types.ts";
import { callOf, forget, meet, openPeer, pairUp, plant, sharedDigests } from "../../kit/peers.ts";
import { makeEntry, rivals } from "../../kit/records.ts";

/** Valid envelopes of one record: ids do not tell them apart, and of two the bytewise smaller is kept everywhere. */

function numbers(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

function numbered(n: number): [Entry, Entry] {
  return rivals({ thread: `th_${n % 7}`, clock: n, body: { n } });
}

/** A call whose answers' headers are changed. */
function telling(call: PeerCall, change: (headers: Headers) => void, asked: string[] = []): PeerCall {
  return async (request) => {
    asked.push(request.path);
    const { headers, chunks } = await call(request);
    const changed = new Headers(headers);
    change(changed);
    return { headers: changed, chunks };
  };
}

test("two instances that hold records in different envelopes agree once each has pulled", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  const all = numbers(500).map((n) => numbered(n));
  const side = (greater: (n: number) => boolean) => all.map((pair, n) => pair[greater(n) ? 1 : 0]);
  // Of some the smaller is here, of some it is there; of most both hold the same.
  await plant(a, [...side((n) => n % 50 === 3), makeEntry({ thread: "th_a_only" })]);
  await plant(b, [...side((n) => n % 50 === 7), makeEntry({ thread: "th_b_only" })]);
  await pairUp(a, b);
  const first = await meet(a, b);
  expect(first).toMatchObject({ pulled: 1, refused: { counts: {} } });
  // Only those that differ travel.
  expect(first.deduplicated).toBe(20);
  await meet(b, a);
  const digests = await sharedDigests(a);
  expect(await sharedDigests(b)).toEqual(digests);
  // Nothing more to be said of them.
  await forget(a, b);
  const later = await meet(a, b);
  expect(later).toMatchObject({ pulled: 0, deduplicated: 0 });
  expect(later.rounds).toBeLessThanOrEqual(2);
});

test("one thread that is pulled agrees as well", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  const [smaller, greater] = rivals({ thread: "th_one" });
  await plant(a, [greater]);
  await plant(b, [smaller]);
  await pairUp(a, b);
  await meet(a, b, { thread: "th_one" });
  expect(await sharedDigests(a)).toEqual(await sharedDigests(b));
});

test("where nothing differs but what is missing, envelopes are not compared", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  const both = numbers(300).map((n) => numbered(n)[0]);
  await plant(a, [...both.slice(5), ...numbers(4).map((n) => rivals({ thread: "th_a_only", clock: n })[0])]);
  await plant(b, both);
  await pairUp(a, b);
  const asked: string[] = [];
  expect(
    await meet(
      a,
      b,
      {},
      telling(callOf(a, b), () => undefined, asked),
    ),
  ).toMatchObject({ pulled: 5 });
  expect(asked.filter((path) => path.includes("of=envelopes"))).toEqual([]);
});

test("a peer that tells no digest is believed as far as it goes", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  const [smaller, greater] = rivals({});
  await plant(a, [greater]);
  await plant(b, [smaller, makeEntry({ thread: "th_more" })]);
  await pairUp(a, b);
  const asked: string[] = [];
  const silent = telling(callOf(a, b), (headers) => headers.delete(DIGEST), asked);
  expect(await meet(a, b, {}, silent)).toMatchObject({ pulled: 1 });
  expect(asked.filter((path) => path.includes("of=envelopes"))).toEqual([]);
});

test("a peer that lies about its digest costs a few short messages, and one that sends none fails by name", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await plant(a, [makeEntry()]);
  await plant(b, [makeEntry()]);
  await pairUp(a, b);
  const lying = telling(callOf(a, b), (headers) => headers.set(DIGEST, "7".repeat(64)));
  const summary = await meet(a, b, {}, lying);
  expect(summary).toMatchObject({ pulled: 0, deduplicated: 0 });
  expect(summary.rounds).toBeLessThanOrEqual(3);
  await forget(a, b);
  const babbling = telling(callOf(a, b), (headers) => headers.set(DIGEST, "many"));
  await expect(meet(a, b, {}, babbling)).rejects.toMatchObject({ code: "peer_misbehaves" });
});

test("a range of envelopes may end between two of one record", async () => {
  await using a = await openPeer("a");
  const [kept] = rivals({});
  await plant(a, [kept, ...numbers(50).map((n) => numbered(n)[0])]);
  const name = concatBytes(fromHex(kept.id, 32)!.subarray(0, 16), fingerprint(kept).subarray(0, 16));
  const selection = { namespaces: null, threads: [kept.thread], without: [] };
  /** What is listed of the one range that ends before `to`. */
  const listed = async (to: Uint8Array) => {
    const message = Uint8Array.of(0x61, 1, 32, ...to, 1, ...new Uint8Array(16).fill(1));
    const { message: answer } = await a.ctx.instance.store.read((reader) =>
      stepReconciliation(reader, selection, message, "responder", "envelopes"),
    );
    return answer!.toHex().includes(`0201${name.toHex()}`);
  };
  expect(await listed(name)).toBe(false);
  const behind = name.slice();
  behind[31] = (name[31]! + 1) & 255;
  expect(await listed(behind)).toBe(true);
});
