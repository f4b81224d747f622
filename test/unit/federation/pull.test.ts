import { describe, expect, test } from "bun:test";
import type { SplError } from "../../../lib/base/errors.ts";
import { MAX_PAGE_BYTES } from "../../../lib/federation/feed.ts";
import type { PeerRequest } from "../../../lib/federation/link.ts";
import type { Entry, JsonObject } from "../../../lib/record/types.ts";
import {
  callOf,
  changePair,
  didOf,
  forget,
  grant,
  idsOf,
  meet,
  openPeer,
  pairOf,
  pairUp,
  plant,
  sharedDigests,
  write,
} from "../../kit/peers.ts";
import { makeEntry, testSigner } from "../../kit/records.ts";

test("a pull brings everything once, and the next one nothing", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  await write(b, "th_talk", [{ goal: "x" }, { text: "y" }]);
  expect(await meet(a, b)).toMatchObject({ pulled: 2, deduplicated: 0, rounds: 1 });
  expect(await meet(a, b)).toMatchObject({ pulled: 0, deduplicated: 0, rounds: 1 });
  await write(b, "th_talk", [{ text: "z" }]);
  expect(await meet(a, b)).toMatchObject({ pulled: 1, deduplicated: 0, rounds: 1 });
  expect(await sharedDigests(a)).toEqual(await sharedDigests(b));
});

test("no page is longer than who asked for it takes, in whatever script its records are written", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  const text = "漢".repeat(2000);
  await write(
    b,
    "th_talk",
    Array.from({ length: 1000 }, (_, n) => ({ n, text })),
  );
  const sizes: number[] = [];
  const call = callOf(a, b);
  const weighed = async (request: PeerRequest) => {
    const answer = await call(request);
    const chunks = await Array.fromAsync(answer.chunks({ most: Infinity, idleMs: 0, totalMs: null }));
    sizes.push(Buffer.concat(chunks).length);
    return { ...answer, chunks: () => inOrder(chunks) };
  };
  expect(await meet(a, b, {}, weighed)).toMatchObject({ pulled: 1000 });
  expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_PAGE_BYTES);
});

async function* inOrder(chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

test("records that came from a peer go back to it once at most", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  await write(a, "th_a", [{ text: "a" }]);
  await write(b, "th_b", [{ text: "b" }]);
  expect(await meet(a, b)).toMatchObject({ pulled: 1 });
  expect(await meet(b, a)).toMatchObject({ pulled: 1 });
  for (let round = 0; round < 3; round++) {
    expect(await meet(a, b)).toMatchObject({ pulled: 0, deduplicated: round === 0 ? 1 : 0 });
    expect(await meet(b, a)).toMatchObject({ pulled: 0, deduplicated: 0 });
  }
});

test("a third instance gets what it is told by the second, with the first one's signature", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await using c = await openPeer("c");
  await pairUp(a, b);
  await pairUp(b, c);
  const [id] = await write(a, "th_talk", [{ text: "from a" }]);
  await meet(b, a);
  expect(await meet(c, b)).toMatchObject({ pulled: 1 });
  const entry = await c.ctx.instance.store.read((reader) => reader.record(id!));
  expect(entry?.signer).toBe(await didOf(a));
});

test("reserved threads and private namespaces stay at home", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  await write(b, "th_engine_config", [{ topic: "secret" }]);
  await write(b, "th_team", [{ goal: "x", namespace: "team" }, { text: "private" }]);
  await write(b, "th_open", [{ text: "public" }]);
  expect(await meet(a, b)).toMatchObject({ pulled: 1 });
  expect(await idsOf(a, "th_team")).toEqual([]);
  // A grant on one side lets them out, on the other it lets them in.
  await grant(b, "team");
  const refused = await meet(a, b);
  expect(refused).toMatchObject({ pulled: 0, refused: { counts: { not_shared: 2 } } });
  expect(await idsOf(a, "th_team")).toEqual([]);
  await grant(a, "team");
  expect(await meet(a, b)).toMatchObject({ pulled: 2 });
  expect(await idsOf(a, "th_team")).toEqual(await idsOf(b, "th_team"));
});

test("a pair narrowed to threads shares those only", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  await write(b, "th_one", [{ text: "1" }]);
  await write(b, "th_two", [{ text: "2" }]);
  await changePair(b, a, { threads: ["th_two"] });
  expect(await meet(a, b)).toMatchObject({ pulled: 1 });
  expect(await idsOf(a, "th_one")).toEqual([]);
});

test("a single thread is pulled without moving on in the feed", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  await write(b, "th_one", [{ text: "1" }]);
  await write(b, "th_two", [{ text: "2" }, { text: "3" }]);
  expect(await meet(a, b, { thread: "th_two" })).toMatchObject({ pulled: 2 });
  expect(await idsOf(a, "th_one")).toEqual([]);
  await write(b, "th_two", [{ text: "4" }]);
  expect(await meet(a, b, { thread: "th_two" })).toMatchObject({ pulled: 1 });
  expect(await meet(a, b)).toMatchObject({ pulled: 1 });
});

test("a single thread that the peer does not share is named, whether it is known here or not", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  await write(b, "th_team", [{ goal: "x", namespace: "team" }]);
  await write(a, "th_mine", [{ text: "1" }]);
  for (const thread of ["th_nowhere", "th_team", "th_mine"]) {
    await expect(meet(a, b, { thread })).rejects.toMatchObject({
      code: "not_found",
      message: `${await didOf(b)} shares no thread ${thread}`,
      hint: expect.stringContaining(`spl consent grant --from NAMESPACE --to ${await didOf(a)}`),
    });
  }
  await write(b, "th_mine", [{ text: "2" }]);
  expect(await meet(a, b, { thread: "th_mine" })).toMatchObject({ pulled: 1 });
  expect(await meet(a, b, { thread: "th_mine" })).toMatchObject({ pulled: 0 });
});

test("without a valid cursor only differences travel", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  for (let n = 0; n < 30; n++) {
    await write(
      b,
      `th_${n}`,
      Array.from({ length: 100 }, (_, i) => ({ text: `${n} ${i}` })),
    );
  }
  expect(await meet(a, b)).toMatchObject({ pulled: 3000, rounds: 1 });
  await forget(a, b);
  await write(b, "th_7", [{ text: "new" }]);
  await write(a, "th_8", [{ text: "mine" }]);
  const summary = await meet(a, b);
  expect(summary).toMatchObject({ pulled: 1, deduplicated: 0, refused: { ids: [] } });
  expect(summary.bytes).toBeLessThan(10_000);
  expect(summary.rounds).toBeLessThanOrEqual(5);
  // From here on by cursor again.
  await write(b, "th_7", [{ text: "newer" }]);
  expect(await meet(a, b)).toMatchObject({ pulled: 1, rounds: 1 });
});

test("an instance with little of its own gets all of a large one, in messages that are bounded", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  await write(a, "th_own", [{ text: "mine" }]);
  const bodies = Array.from({ length: 4000 }, (_, i) => ({ text: `${i}` }));
  await write(b, "th_large", bodies);
  const call = callOf(a, b);
  let longest = 0;
  const measuring: typeof call = async (request) => {
    const { headers, chunks } = await call(request);
    const bytes = await Array.fromAsync(chunks({ most: 1e9, idleMs: 1e9, totalMs: null }));
    const size = bytes.reduce((sum, chunk) => sum + chunk.length, 0);
    if (request.path.includes("reconcile")) longest = Math.max(longest, size);
    return {
      headers,
      async *chunks() {
        yield* bytes;
      },
    };
  };
  expect(await meet(a, b, {}, measuring)).toMatchObject({ pulled: 4000, refused: { counts: {} } });
  expect(longest).toBeGreaterThan(0);
  expect(longest).toBeLessThanOrEqual(64 * 1024);
  expect((await idsOf(a, "th_large")).length).toBe(4000);
});

test("where nearly everything is missing, the feed is read from its beginning", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  await write(a, "th_own", [{ text: "mine" }]);
  for (let n = 0; n < 6; n++) {
    await write(
      b,
      `th_${n}`,
      Array.from({ length: 2000 }, (_, i) => ({ text: `${n} ${i}` })),
    );
  }
  const call = callOf(a, b);
  const paths: string[] = [];
  const noting: typeof call = (request) => {
    paths.push(`${request.method} ${request.path.replace(/\?.*/, "")}`);
    return call(request);
  };
  expect(await meet(a, b, {}, noting)).toMatchObject({ pulled: 12_000, refused: { counts: {} } });
  expect(paths.filter((path) => path === "GET /federation/v1/records")).toHaveLength(3);
  expect(paths.filter((path) => path === "POST /federation/v1/reconcile").length).toBeLessThan(12);
  expect(await meet(a, b)).toMatchObject({ pulled: 0, deduplicated: 0, rounds: 1 });
}, 30_000);

test("a cursor is good for the peer alone that it was given to, and for nobody who changes it", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await using c = await openPeer("c");
  await pairUp(a, b);
  await pairUp(c, b);
  await write(b, "th_talk", [{ text: "1" }]);
  const ask = async (who: typeof a, after?: string) => {
    const query = after === undefined ? "" : `?after=${after}`;
    const answer = await callOf(
      who,
      b,
    )({ method: "GET", path: `/federation/v1/records${query}`, accept: "application/x-ndjson" });
    const chunks = await Array.fromAsync(answer.chunks({ most: 65_536, idleMs: 1000, totalMs: null }));
    const lines = Buffer.concat(chunks).toString().trimEnd().split("\n");
    return { records: lines.length - 1, cursor: (JSON.parse(lines.at(-1)!) as { cursor: string }).cursor };
  };
  const { records, cursor } = await ask(a);
  expect(records).toBe(1);
  expect((await ask(a, cursor)).records).toBe(0);
  await expect(ask(c, cursor)).rejects.toMatchObject({ code: "cursor_invalid" });
  const bytes = Buffer.from(cursor, "base64url");
  for (const at of bytes.keys()) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 1;
    await expect(ask(a, changed.toString("base64url"))).rejects.toMatchObject({ code: "cursor_invalid" });
  }
});

test("a cursor of another store is not taken", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  await write(b, "th_talk", [{ text: "1" }]);
  await meet(a, b);
  // As when b's identity lives in another home now.
  const { instance } = b.ctx;
  await instance.store.transact(async (writer) => {
    const { key: _, ...identity } = await instance.signer(writer);
    await writer.setIdentity({ ...identity, stewardId: "f".repeat(32), epoch: identity.epoch + 1 });
  });
  await write(b, "th_talk", [{ text: "2" }]);
  expect(await meet(a, b)).toMatchObject({ pulled: 1, deduplicated: 0 });
  expect(await meet(a, b)).toMatchObject({ pulled: 0, rounds: 1 });
});

test("a paused pair is neither served nor asked", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  await changePair(b, a, { state: "paused" });
  await expect(meet(a, b)).rejects.toMatchObject({ code: "pair_unknown" });
  await changePair(b, a, { state: "active" });
  await changePair(a, b, { state: "paused" });
  await expect(meet(a, b)).rejects.toMatchObject({ code: "pair_unknown" });
});

test("what was taken in before the peer broke off stays, and the next pull goes on there", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  for (let n = 0; n < 5; n++) {
    await write(
      b,
      `th_${n}`,
      Array.from({ length: 1800 }, (_, i) => ({ text: `${n} ${i}` })),
    );
  }
  const call = callOf(a, b);
  let calls = 0;
  const breaking: typeof call = (request) => {
    if (++calls === 3) throw new Error("broken");
    return call(request);
  };
  await expect(meet(a, b, {}, breaking)).rejects.toThrow("broken");
  expect(await meet(a, b)).toMatchObject({ pulled: 1000, deduplicated: 0 });
  expect(await sharedDigests(a)).toEqual(await sharedDigests(b));
});

test("a thread whose opening record is missing is shared with nobody", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  const signer = testSigner(5);
  const opening = makeEntry({ thread: "th_late", body: { namespace: "team" } }, { signer });
  const second = makeEntry({ thread: "th_late", parents: [opening.id], clock: 1 }, { signer });
  const insert = (entry: Entry) =>
    b.ctx.instance.store.transact(async (writer) => {
      await writer.putSigner({ did: signer.did, publicKey: signer.key.publicKey });
      await writer.insert([entry]);
    });
  // As while it is being reconciled: the rest of the thread may turn out to be private.
  await insert(second);
  expect(await meet(a, b)).toMatchObject({ pulled: 0, refused: { counts: {} } });
  const names = async () =>
    (await b.json<{ namespace: string }[]>("/v1/namespaces")).map(({ namespace }) => namespace);
  expect(await names()).toEqual(["", "default"]);
  await insert(opening);
  expect(await names()).toEqual(["default", "team"]);
  expect(await meet(a, b)).toMatchObject({ pulled: 0, refused: { counts: {} } });
  await grant(b, "team");
  await grant(a, "team");
  expect(await meet(a, b)).toMatchObject({ pulled: 2 });
});

test("what came in before its thread's opening record reaches a peer that had passed it over", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  const signer = testSigner(5);
  const opening = makeEntry({ thread: "th_late", body: { goal: "x" } }, { signer });
  const second = makeEntry({ thread: "th_late", parents: [opening.id], clock: 1 }, { signer });
  const insert = (entry: Entry) =>
    b.ctx.instance.store.transact(async (writer) => {
      await writer.putSigner({ did: signer.did, publicKey: signer.key.publicKey });
      await writer.insert([entry]);
    });
  await write(b, "th_other", [{}]);
  await insert(second);
  expect(await meet(a, b)).toMatchObject({ pulled: 1 });
  await insert(opening);
  await meet(a, b);
  expect(await idsOf(a, "th_late")).toEqual([opening.id, second.id]);
  expect(await meet(a, b)).toMatchObject({ pulled: 0, rounds: 1 });
});

test("a cursor that is not good any more when the reconciliation is done costs another one, and only one", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  const signer = testSigner(5);
  const openings = ["th_1", "th_2", "th_3"].map((thread) =>
    makeEntry({ thread, body: { goal: thread } }, { signer }),
  );
  const later = openings.map(({ thread, id }) => makeEntry({ thread, parents: [id], clock: 1 }, { signer }));
  await write(b, "th_other", [{}]);
  await meet(a, b);
  await forget(a, b);
  await plant(b, later, [signer]);
  const call = callOf(a, b);
  const late = (n: number): typeof call => {
    const left = openings.splice(0, n);
    return async (request) => {
      // As when it comes in at the peer just now: what is shared by cursor is another thing from here on.
      const next = request.path.startsWith("/federation/v1/records?") ? left.shift() : undefined;
      if (next) await plant(b, [next], [signer]);
      return call(request);
    };
  };
  expect(await meet(a, b, {}, late(1))).toMatchObject({ pulled: 2, refused: { counts: {} } });
  expect(await idsOf(a, "th_1")).toHaveLength(2);
  expect(await meet(a, b)).toMatchObject({ pulled: 0, rounds: 1 });
  await forget(a, b);
  const failed = await meet(a, b, {}, late(2)).catch(({ code }: SplError) => code);
  expect(failed).toBe("cursor_invalid");
});

test("a later opening record cannot take a thread out of what is shared", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  const opening = makeEntry({ thread: "th_x", actor: "did:sync:user:b", clock: 3, body: { text: "1" } });
  const earlier = makeEntry({
    thread: "th_x",
    actor: "did:sync:user:a",
    clock: 2,
    body: { namespace: "team" },
  });
  const signer = testSigner(1);
  for (const app of [a, b]) {
    await app.ctx.instance.store.transact(async (writer) => {
      await writer.putSigner({ did: signer.did, publicKey: signer.key.publicKey });
      await writer.insert([opening]);
    });
  }
  await grant(b, "team");
  await b.ctx.instance.store.transact((writer) => writer.insert([earlier]));
  expect(await meet(a, b)).toMatchObject({ pulled: 0, refused: { counts: { not_shared: 1 } } });
  expect(await idsOf(a, "th_x")).toEqual([opening.id]);
});

describe("a thread that several records open is shared with those only who may have all of its namespaces", () => {
  /** Two instances that hold a private thread and one that sorts before its opening record, and a third that is paired with the second. */
  async function opened(stack: AsyncDisposableStack) {
    const [a, b] = [stack.use(await openPeer("a")), stack.use(await openPeer("b"))];
    await pairUp(a, b);
    const signer = testSigner(5);
    const own = makeEntry(
      { thread: "th_x", actor: "did:sync:user:b", body: { namespace: "team" } },
      { signer },
    );
    const earlier = makeEntry(
      { thread: "th_x", actor: "did:aaa:evil", body: { text: "open up" } },
      { signer },
    );
    await b.ctx.instance.store.transact(async (writer) => {
      await writer.putSigner({ did: signer.did, publicKey: signer.key.publicKey });
      await writer.insert([own]);
      await writer.insert([earlier]);
    });
    return { a, b, ids: [earlier.id, own.id] };
  }

  test("however they came in", async () => {
    await using stack = new AsyncDisposableStack();
    const { a, b, ids } = await opened(stack);
    expect(await meet(a, b)).toMatchObject({ pulled: 0, refused: { counts: {} } });
    expect(await b.json<object[]>("/v1/namespaces")).toMatchObject([
      { namespace: "default", threads: 0, shared_with: ["*"] },
      { namespace: "default, team", threads: 1, shared_with: [] },
    ]);
    await grant(b, "team");
    expect(await b.json<object[]>("/v1/namespaces")).toMatchObject([
      { namespace: "default" },
      { namespace: "default, team", threads: 1, shared_with: ["*"] },
      { namespace: "team", threads: 0 },
    ]);
    // What names the namespace that a shares may come in, and nothing else.
    expect(await meet(a, b)).toMatchObject({ pulled: 1, refused: { counts: { not_shared: 1 } } });
    await grant(a, "team");
    expect(await meet(a, b)).toMatchObject({ pulled: 1 });
    expect(await idsOf(a, "th_x")).toEqual(ids);
  });

  test("a scan of all records comes to the same", async () => {
    await using stack = new AsyncDisposableStack();
    const { b } = await opened(stack);
    const { store } = b.ctx.instance;
    expect(await store.transact((writer) => writer.rebuild())).toEqual({ changed: false });
  });

  test.each<JsonObject>([
    { namespace: null },
    { namespace: 5 },
    { namespace: ["team"] },
    { namespace: "" },
    { namespace: "a\nb" },
  ])("%j names none, and is shared with nobody", async (body: JsonObject) => {
    await using a = await openPeer("a");
    await using b = await openPeer("b");
    await pairUp(a, b);
    await write(b, "th_odd", [body, { text: "more" }]);
    expect(await meet(a, b)).toMatchObject({ pulled: 0, refused: { counts: {} } });
    expect(await b.json<object[]>("/v1/namespaces")).toMatchObject([
      { namespace: "", threads: 1, records: 2, shared_with: [] },
      { namespace: "default" },
    ]);
  });
});

test("a thread that is kept at home takes nothing from a peer", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  const [id] = await write(a, "th_odd", [{ namespace: 5 }]);
  await write(b, "th_odd", [{ text: "an intruder" }, { text: "and more" }]);
  expect(await meet(a, b)).toMatchObject({ pulled: 0, refused: { counts: { not_shared: 2 } } });
  expect(await idsOf(a, "th_odd")).toEqual([id!]);
});

test("how often private threads are opened late tells a peer nothing, and costs it nothing", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  const signer = testSigner(5);
  await b.ctx.instance.store.transact((writer) =>
    writer.putSigner({ did: signer.did, publicKey: signer.key.publicKey }),
  );
  const insert = (entry: Entry) => b.ctx.instance.store.transact((writer) => writer.insert([entry]));
  await write(b, "th_open", [{}]);
  await insert(makeEntry({ thread: "th_private", body: { namespace: "secret" } }, { signer }));
  await meet(a, b);
  await insert(makeEntry({ thread: "th_private", body: { namespace: "more" } }, { signer }));
  expect(await meet(a, b)).toMatchObject({ pulled: 0, rounds: 1 });
});

test("who pulls knows the pair", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b");
  await pairUp(a, b);
  expect((await pairOf(a, b)).peer_did).toBe(await didOf(b));
  await changePair(a, b, { state: "revoked" });
  await expect(meet(b, a)).rejects.toMatchObject({ code: "pair_unknown" });
});
