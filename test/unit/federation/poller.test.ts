import { expect, test } from "bun:test";
import { SplError } from "../../../lib/base/errors.ts";
import { Poller, waitOf } from "../../../lib/federation/poller.ts";
import type { PeerCall } from "../../../lib/federation/sync.ts";
import { Syncs } from "../../../lib/federation/syncs.ts";
import { listPairs } from "../../../lib/instance/federation.ts";
import type { TestApp } from "../../kit/app.ts";
import { callOf, changePair, idsOf, openPeer, pairOf, pairUp, write } from "../../kit/peers.ts";

const MINUTE = 60_000;

/** Two paired instances, and the first one's poller with a clock in the test's hands. */
async function polling(): Promise<{
  a: TestApp;
  b: TestApp;
  poller: Poller;
  time: { now: number };
  peer: { call: PeerCall; calls: number };
  [Symbol.asyncDispose]: () => Promise<void>;
}> {
  const time = { now: Date.now() };
  const ports = { clock: () => time.now };
  const a = await openPeer("a", { ports });
  const b = await openPeer("b", { ports });
  await pairUp(a, b);
  const peer = { call: callOf(a, b), calls: 0 };
  const syncs = new Syncs(a.ctx.federation, {
    onNews: () => a.ctx.changes.announce(),
    wait: (pair, failures) => waitOf(pair, failures, 0.5),
    call: () => (request) => {
      peer.calls++;
      return peer.call(request);
    },
  });
  const poller = new Poller(a.ctx.federation, syncs);
  return {
    a,
    b,
    poller,
    time,
    peer,
    async [Symbol.asyncDispose]() {
      await poller.stop();
      await a[Symbol.asyncDispose]();
      await b[Symbol.asyncDispose]();
    },
  };
}

const unreachable: PeerCall = () => Promise.reject(new SplError("peer_unreachable", "nobody is there"));

/** Lets the poller look, and waits for what it began. */
async function look(poller: Poller): Promise<void> {
  await poller.tick();
  while (poller.busy > 0) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves once the instance holds so many records of the thread. */
async function arrived(app: TestApp, n: number): Promise<void> {
  for (;;) {
    const { next } = app.ctx.changes;
    if ((await idsOf(app, "th_talk")).length >= n) return;
    await next;
  }
}

test("the first poll of a pair that this host knows nothing of waits one interval, the next ones come by it", async () => {
  await using kit = await polling();
  const { a, b, poller, time, peer } = kit;
  await write(b, "th_talk", [{ text: "1" }]);
  await look(poller);
  time.now += MINUTE - 1;
  await look(poller);
  expect(peer.calls).toBe(0);
  expect((await listPairs(a.ctx.instance))[0]!.last_sync).toBeNull();
  time.now += 1;
  await look(poller);
  expect(peer.calls).toBe(1);
  expect(await idsOf(a, "th_talk")).toHaveLength(1);
  expect((await listPairs(a.ctx.instance))[0]!.last_sync).toBe(new Date(time.now).toISOString());
  time.now += MINUTE - 1;
  await look(poller);
  expect(peer.calls).toBe(1);
  // A shorter interval counts from the last sync on.
  await changePair(a, b, { interval_s: 10 });
  await look(poller);
  expect(peer.calls).toBe(2);
});

test("a peer that fails is asked less and less, up to once an hour, and at once by its interval when it is back", async () => {
  await using kit = await polling();
  const { a, poller, time, peer } = kit;
  await look(poller);
  time.now += MINUTE;
  const honest = peer.call;
  peer.call = unreachable;
  const waits: number[] = [];
  for (let failures = 0; failures < 9; failures++) {
    const since = time.now;
    const before = peer.calls;
    for (; peer.calls === before; time.now += 5000) await look(poller);
    waits.push(Math.round((time.now - 5000 - since) / 1000));
  }
  expect(waits).toEqual([0, 55, 115, 235, 475, 955, 1915, 3595, 3595]);
  expect((await listPairs(a.ctx.instance))[0]!.problem).toBe("nobody is there");
  peer.call = honest;
  time.now += 60 * MINUTE;
  await look(poller);
  expect((await listPairs(a.ctx.instance))[0]!.problem).toBeNull();
  const before = peer.calls;
  time.now += MINUTE;
  await look(poller);
  expect(peer.calls).toBe(before + 1);
});

test("chance spreads the attempts by a quarter", async () => {
  await using kit = await polling();
  const pair = await pairOf(kit.a, kit.b);
  expect([0, 0.5, 1].map((chance) => waitOf(pair, 1, chance))).toEqual([45_000, 60_000, 75_000]);
  expect([0, 1].map((chance) => waitOf(pair, 0, chance))).toEqual([60_000, 60_000]);
  expect(waitOf({ ...pair, mode: "continuous" }, 1, 0.5)).toBe(1000);
  expect(waitOf({ ...pair, interval_s: 86_400 }, 9, 0.5)).toBe(86_400_000);
});

test("pairs on demand, paused and revoked ones are left alone", async () => {
  await using kit = await polling();
  const { a, b, poller, time, peer } = kit;
  for (const change of [
    { mode: "on-demand" },
    { mode: "polling", state: "paused" },
    { state: "revoked" },
  ] as const) {
    await changePair(a, b, change);
    for (let n = 0; n < 5; n++) {
      await look(poller);
      time.now += 10 * MINUTE;
    }
  }
  expect(peer.calls).toBe(0);
});

test("a clock that was set back does not stop polling", async () => {
  await using kit = await polling();
  const { poller, time, peer } = kit;
  await look(poller);
  time.now += MINUTE;
  await look(poller);
  expect(peer.calls).toBe(1);
  time.now -= 30 * 24 * 60 * MINUTE;
  await look(poller);
  expect(peer.calls).toBe(2);
});

test("a superseded home polls nobody", async () => {
  await using kit = await polling();
  const { a, poller, time, peer } = kit;
  const { instance } = a.ctx;
  await look(poller);
  await instance.store.transact(async (writer) => {
    const { key: _, ...identity } = await instance.signer(writer);
    const highest = {
      steward_id: "f".repeat(32),
      epoch: identity.epoch + 1,
      revoked: false,
      did: identity.did,
    };
    await writer.putEndpoint(identity.did, JSON.stringify(highest));
  });
  time.now += MINUTE;
  await look(poller);
  expect(peer.calls).toBe(0);
});

test("a continuous pair gets what its peer writes as it writes, and stops when the operator says so", async () => {
  await using kit = await polling();
  const { a, b, poller } = kit;
  await write(b, "th_talk", [{ text: "before" }]);
  await changePair(a, b, { mode: "continuous" });
  await poller.tick();
  kit.time.now += MINUTE;
  await poller.tick();
  for (let n = 1; n <= 5; n++) {
    await write(b, "th_talk", [{ text: `${n}` }]);
    await arrived(a, n + 1);
  }
  expect(poller.busy).toBe(1);
  expect((await listPairs(a.ctx.instance))[0]).toMatchObject({ problem: null });
  await changePair(a, b, { state: "paused" });
  await look(poller);
  expect(poller.busy).toBe(0);
});

test("the serving side ends a stream when the pair is paused, and the stream is taken up again", async () => {
  await using kit = await polling();
  const { a, b, poller, time } = kit;
  await changePair(a, b, { mode: "continuous" });
  await poller.tick();
  time.now += MINUTE;
  await poller.tick();
  await write(b, "th_talk", [{ text: "1" }]);
  await arrived(a, 1);
  await changePair(b, a, { state: "paused" });
  while (poller.busy > 0) await new Promise((resolve) => setImmediate(resolve));
  expect((await listPairs(a.ctx.instance))[0]!.problem).not.toBeNull();
  await changePair(b, a, { state: "active" });
  await write(b, "th_talk", [{ text: "2" }]);
  time.now += MINUTE;
  await poller.tick();
  await arrived(a, 2);
});
