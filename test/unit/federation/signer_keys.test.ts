import { expect, test } from "bun:test";
import { SignerKeys } from "../../../lib/federation/signer_keys.ts";
import { didKey } from "../../../lib/identity/did.ts";
import { listPairs } from "../../../lib/instance/federation.ts";
import { TestApp } from "../../kit/app.ts";
import { Liar } from "../../kit/liar.ts";
import { idsOf } from "../../kit/peers.ts";
import { makeEntry, testSigner } from "../../kit/records.ts";

/** An instance whose hosts all have no address; it notes which it looked up. */
async function asking(isolated = false) {
  const asked: string[] = [];
  const time = { now: 1_800_000_000_000 };
  const app = await TestApp.open({
    ports: { clock: () => time.now },
    federation: {
      isolated,
      policy: { networks: [], loopback: true },
      resolve: async (host) => {
        asked.push(host);
        throw new Error("no such host");
      },
    },
  });
  return { app, asked, time };
}

const PEER = "did:sync:instance:peer";
const web = (n: number) => `did:web:host${n}.example`;
const many = (n: number) => Array.from({ length: n }, (_, i) => web(i));

test("a page that names a thousand hosts makes a few dials, and so does page after page of them", async () => {
  const { app, asked, time } = await asking();
  await using _ = app;
  const lookUp = new SignerKeys(app.ctx.federation).of(PEER);
  expect(await lookUp(many(1000))).toEqual(new Map());
  expect(asked).toHaveLength(16);
  for (let page = 1; page < 20; page++) await lookUp(many(1000).map((did) => `${did}:${page}`));
  expect(asked).toHaveLength(64);
  time.now += 60_000;
  await lookUp(many(1000));
  expect(asked).toHaveLength(80);
});

test("who could not be reached is left alone for a while, each time longer", async () => {
  const { app, asked, time } = await asking();
  await using _ = app;
  const keys = new SignerKeys(app.ctx.federation);
  await keys.of(PEER)([web(1), web(1)]);
  await keys.of(PEER)([web(1)]);
  await keys.of("did:sync:instance:other")([web(1)]);
  expect(asked).toHaveLength(1);
  for (const wait of [10_000, 20_000, 40_000]) {
    time.now += wait - 1;
    await keys.of(PEER)([web(1)]);
    const before = asked.length;
    time.now += 1;
    await keys.of(PEER)([web(1)]);
    expect(asked).toHaveLength(before + 1);
  }
  expect(asked).toHaveLength(4);
});

test("nobody is asked for other DIDs, nor by an isolated instance, nor when the pull has ended", async () => {
  const { app, asked } = await asking();
  await using _ = app;
  const keys = new SignerKeys(app.ctx.federation);
  await keys.of(PEER)([testSigner(1).did, didKey(testSigner(1).key.publicKey), "did:web:10.0.0.1"]);
  await keys.of(PEER, AbortSignal.abort())([web(1)]);
  const alone = await asking(true);
  await using __ = alone.app;
  expect(await new SignerKeys(alone.app.ctx.federation).of(PEER)([web(1)])).toEqual(new Map());
  expect([...asked, ...alone.asked]).toEqual([]);
});

test("records of a signer that cannot be looked up are refused alone, and asked for again by the next sync", async () => {
  const { app, asked } = await asking();
  await using _ = app;
  await using liar = new Liar();
  await liar.pairWith(app);
  const sync = async () => app.ctx.syncs.sync((await listPairs(app.ctx.instance))[0]!);
  const { key } = testSigner(8);
  const owed = makeEntry({ thread: "th_web" }, { signer: { key, did: web(1) } });
  const certified = makeEntry({ thread: "th_key" }, { signer: { key, did: didKey(key.publicKey) } });
  const stated = [web(1), didKey(key.publicKey)].map((did) => ({
    signer: { did, public_key: key.publicKey.toHex() },
  }));
  liar.answer = () => liar.page([...stated, owed, certified]);
  expect(await sync()).toMatchObject({ pulled: 1, refused: { unknown_signer: 1 }, refused_ids: [owed.id] });
  expect(await idsOf(app, "th_key")).toEqual([certified.id]);
  expect(asked).toEqual(["host1.example"]);
  const named: unknown[] = [];
  liar.answer = async (request) => {
    if (request.method === "GET") return liar.page([]);
    named.push(await request.json());
    return liar.page([owed], { cursor: null, more: false });
  };
  for (let round = 1; round <= 2; round++) {
    expect(await sync()).toMatchObject({ refused: { unknown_signer: 1 }, failure: null });
    expect(named).toEqual(Array.from({ length: round }, () => ({ ids: [owed.id] })));
  }
  // Known by another way meanwhile.
  await app.ctx.instance.store.transact((writer) =>
    writer.putSigner({ did: web(1), publicKey: key.publicKey }),
  );
  expect(await sync()).toMatchObject({ pulled: 1, refused: {} });
  await sync();
  expect(named).toHaveLength(3);
});
