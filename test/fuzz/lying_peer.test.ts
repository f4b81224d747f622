import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { toBase64Url } from "../../lib/base/bytes.ts";
import type { SyncOutcome } from "../../lib/federation/syncs.ts";
import { listPairs } from "../../lib/instance/federation.ts";
import { envelopeLine } from "../../lib/record/envelope.ts";
import type { Entry, HashedFields } from "../../lib/record/types.ts";
import { TestApp } from "../kit/app.ts";
import { dripping, Liar, ndjson } from "../kit/liar.ts";
import { idsOf, openPeer, pairUp, write } from "../kit/peers.ts";
import { makeEntry, type TestSigner, testSigner } from "../kit/records.ts";

let liar: Liar;
let app: TestApp;

beforeEach(async () => {
  liar = new Liar();
  app = await TestApp.open({ federation: { isolated: false, policy: { networks: [], loopback: true } } });
  await liar.pairWith(app);
});

afterEach(async () => {
  await app[Symbol.asyncDispose]();
  await liar[Symbol.asyncDispose]();
});

async function sync(): Promise<SyncOutcome> {
  const [pair] = await listPairs(app.ctx.instance);
  return app.ctx.syncs.sync(pair!);
}

async function problem(): Promise<string | null> {
  return (await listPairs(app.ctx.instance))[0]!.problem;
}

let n = 0;
function entry(fields: Partial<HashedFields> = {}, signer: TestSigner = liar.signer): Entry {
  return makeEntry(
    { thread: "th_lies", act: "DO", clock: 0, body: { text: `${n++}` }, ...fields },
    { signer },
  );
}

/** A record that holds, to see that it lands. */
const GOOD = { thread: "th_good" };

describe("records that do not hold are refused by name, the rest of the page lands", () => {
  const foreign = testSigner(7, "foreign");
  const lies: Record<string, { lines: () => (Entry | object | string)[]; refused: Record<string, number> }> =
    {
      "a wrong hash": {
        lines: () => [envelopeLine(entry()).replace(/"text":"/, '"text":"changed ')],
        refused: { hash: 1 },
      },
      "a wrong signature": {
        lines: () => [
          { ...entry(), sig: new Uint8Array(64).fill(3) },
          { ...entry(), judged_by: "a".repeat(64) },
        ],
        refused: { signature: 2 },
      },
      "a signature by somebody else in the peer's name": {
        lines: () => [{ ...entry({}, foreign), signer: liar.signer.did }],
        refused: { signature: 1 },
      },
      "a signer whose key does not come along": {
        lines: () => [entry({}, foreign)],
        refused: { unknown_signer: 1 },
      },
      "a signer with the key of somebody else": {
        lines: () => [
          { signer: { did: foreign.did, public_key: liar.signer.key.publicKey.toHex() } },
          { ...entry(), signer: foreign.did },
        ],
        refused: { unknown_signer: 1 },
      },
      "a did:web signer whose key nothing proves": {
        lines: () => [
          { signer: { did: "did:web:a.example", public_key: foreign.key.publicKey.toHex() } },
          entry({}, { ...foreign, did: "did:web:a.example" }),
        ],
        refused: { unknown_signer: 1 },
      },
      "reserved threads": {
        lines: () =>
          ["th_federation_pairs", "th_consent", "th_devices", "th_engine_config", "th_actor_registry"].map(
            (thread) => entry({ thread, act: "LEARN", body: { topic: "pair", state: "active" } }),
          ),
        refused: { reserved: 5 },
      },
      "a private namespace, with all that follows": {
        lines: () => {
          const first = entry({ body: { namespace: "private" } });
          return [first, entry({ parents: [first.id], clock: 1 })];
        },
        refused: { not_shared: 2 },
      },
      "clocks that cannot be": {
        lines: () => [
          entry({ thread: "th_jump", clock: 2 ** 40 }),
          entry({ thread: "th_zero", parents: ["b".repeat(64)], clock: 0 }),
        ],
        refused: { clock: 2 },
      },
      "what is no record": {
        lines: () => [
          '{"id":"x"}',
          `{"id":"${"c".repeat(64)}","record":{"act":`,
          `${envelopeLine(entry())} `,
        ],
        refused: { malformed: 3 },
      },
      "a record respelled": {
        lines: () => [envelopeLine(entry({ body: { n: 1 } })).replace('"n":1', '"n":1.0')],
        refused: { malformed: 1 },
      },
    };
  for (const [name, { lines, refused }] of Object.entries(lies)) {
    test(name, async () => {
      const good = [entry(GOOD), entry({ ...GOOD, clock: 1 })] as const;
      liar.answer = () => liar.page([good[0], ...lines(), good[1]]);
      const outcome = await sync();
      expect(outcome).toMatchObject({ pulled: 2, refused, failure: null });
      expect(outcome.refused_ids.length).toBeGreaterThan(0);
      expect(await idsOf(app, "th_good")).toEqual([good[0].id, good[1].id]);
      expect(await idsOf(app, "th_lies")).toEqual([]);
      // Degraded until a sync without any.
      expect(await problem()).toStartWith("refused ");
      liar.answer = () => liar.page([]);
      await sync();
      expect(await problem()).toBeNull();
    });
  }

  test("an equivocating clock is kept as the fork it is", async () => {
    liar.answer = () => liar.page([entry({ clock: 1 }), entry({ clock: 1 })]);
    expect(await sync()).toMatchObject({ pulled: 2, refused: {} });
    const thread = await app.json<{ forks: number }>("/v1/threads/th_lies");
    expect(thread.forks).toBe(1);
  });

  test("a thread that was private cannot be opened to be pushed into", async () => {
    await write(app, "th_team", [{ namespace: "team" }]);
    liar.answer = () => liar.page([entry({ thread: "th_team", clock: 5 })]);
    expect(await sync()).toMatchObject({ pulled: 0, refused: { not_shared: 1 } });
  });

  test("records that nobody asked for, and those that were named and do not come", async () => {
    await write(app, "th_own", [{ text: "so that it reconciles" }]);
    const named = Uint8Array.from({ length: 32 }, () => 9);
    const list = Uint8Array.of(0x61, 0, 0, 2, 1, ...named);
    liar.answer = (_, path) =>
      path.includes("reconcile")
        ? new Response(list, { headers: { "content-type": "application/octet-stream" } })
        : liar.page([entry()], { cursor: null, more: false });
    expect(await sync()).toMatchObject({ pulled: 0, refused: { not_asked_for: 1, missing: 1 } });
  });
});

describe("a peer that does not stop, or answers with something else, fails by name", () => {
  const twice = () => {
    let page = 0;
    return () => page++;
  };
  interface Lie {
    answer: (count: () => number) => Liar["answer"];
    says: RegExp;
    code?: string;
  }
  const lies: Record<string, Lie> = {
    "a repeated cursor": {
      answer: () => () => liar.page([entry()], { cursor: "same", more: true }),
      says: /repeats a cursor/,
    },
    "empty pages that promise more": {
      answer: (count) => () => liar.page([], { cursor: `c${count()}`, more: true }),
      says: /empty page and says that more comes/,
    },
    "page after page of what is known": {
      answer: (count) => {
        const known = entry();
        return (_, path) =>
          path.includes("reconcile")
            ? new Response(Uint8Array.of(0x61), {
                headers: { "content-type": "application/octet-stream", "syncropel-cursor": `r${count()}` },
              })
            : liar.page([known], { cursor: `c${count()}`, more: true });
      },
      says: /page after page without anything new/,
    },
    "a page without its end": {
      answer: () => () => ndjson(`${envelopeLine(entry())}\n`),
      says: /without its end/,
    },
    "a page that goes on behind its end": {
      answer: () => () => liar.page([{ cursor: "a", more: false }, entry()]),
      says: /goes on behind the end/,
    },
    "no cursor": {
      answer: () => () => liar.page([entry()], { cursor: null, more: true }),
      says: /without a cursor/,
    },
    "a line without end": {
      answer: () => () => ndjson(dripping("x".repeat(1 << 20), 0, 1024)),
      says: /a line of more than \d+ bytes/,
    },
    "a body of 1 GiB": {
      answer: () => () =>
        ndjson(dripping(`${JSON.stringify({ signer: "x".repeat(1 << 16) })}\n`, 0, 1 << 14)),
      says: /signer's line that is none|more than \d+ bytes/,
    },
    "a body of 1 GiB in records": {
      answer: () => () => ndjson(dripping(`{"id":"${"x".repeat(1 << 18)}"}\n`, 0, 1 << 12)),
      says: /more than \d+ bytes/,
    },
    "more records than a page may hold": {
      answer: () => () => ndjson('{"id":"x"}\n'.repeat(4001)),
      says: /more than 4000 records/,
    },
    "a gzip bomb": {
      answer: () => () =>
        new Response(gzipSync(Buffer.alloc(64 << 20)), {
          headers: { "content-type": "application/x-ndjson", "content-encoding": "gzip" },
        }),
      says: /encoded as gzip/,
    },
    "a redirect to this machine": {
      answer: () => () => new Response(null, { status: 307, headers: { location: "http://127.0.0.1:1/" } }),
      says: /redirect, which is not followed/,
      // It has not shown that it is the peer.
      code: "peer_unreachable",
    },
    "a page of a proxy": {
      answer: () => () => new Response("<html>", { headers: { "content-type": "text/html" } }),
      says: /no JSON object|signer's line that is none|within a line/,
    },
  };
  for (const [name, { answer, says, code = "peer_misbehaves" }] of Object.entries(lies)) {
    test(name, async () => {
      liar.answer = answer(twice());
      const outcome = await sync();
      expect(outcome.failure?.message).toMatch(says);
      expect(outcome.failure?.code).toBe(code);
      expect(await problem()).toMatch(says);
      // The daemon lives, and so does the pair once its peer behaves.
      const good = entry(GOOD);
      liar.answer = () => liar.page([good]);
      expect(await sync()).toMatchObject({ failure: null });
      expect(await idsOf(app, "th_good")).toEqual([good.id]);
      expect(await problem()).toBeNull();
      expect((await app.call("/health")).status).toBe(200);
    });
  }

  test("a reconciliation without an end", async () => {
    await write(app, "th_own", [{ text: "so that it reconciles" }]);
    let round = 0;
    liar.answer = () => {
      // One range, each time under another fingerprint.
      const fingerprint = new Uint8Array(16).fill(round++);
      return new Response(Uint8Array.of(0x61, 0, 0, 1, ...fingerprint), {
        headers: { "content-type": "application/octet-stream" },
      });
    };
    expect((await sync()).failure?.message).toMatch(/reconciles without an end/);
    expect(round).toBeLessThan(100);
  });

  test("a reconciliation that names more and more records, none of which comes", async () => {
    await write(app, "th_own", [{ text: "so that it reconciles" }]);
    let round = 0;
    const named = () => {
      const ids = Array.from({ length: 100 }, () => crypto.getRandomValues(new Uint8Array(32)).fill(1, 0, 1));
      // A list of the ids below 02…, then a range under another fingerprint each time.
      const rest = crypto.getRandomValues(new Uint8Array(16));
      return Buffer.concat([
        Uint8Array.of(0x61, 1, 1, 2, 2, ids.length),
        ...ids,
        Uint8Array.of(0, 0, 1),
        rest,
      ]);
    };
    liar.answer = (_, path) => {
      if (!path.includes("reconcile")) return liar.page([], { cursor: null, more: false });
      // An end after all, so that a failure of this test has one.
      const message = round++ < 300 ? named() : Uint8Array.of(0x61);
      return new Response(message, { headers: { "content-type": "application/octet-stream" } });
    };
    expect((await sync()).failure?.message).toMatch(/names \d+ records that it does not have/);
    expect(round).toBeLessThan(100);
  });

  test("a reconciliation message that is none", async () => {
    await write(app, "th_own", [{ text: "so that it reconciles" }]);
    liar.answer = () => new Response("no", { headers: { "content-type": "application/octet-stream" } });
    expect((await sync()).failure?.message).toMatch(/reconciliation message is malformed/);
  });

  test("somebody else at the peer's address", async () => {
    await using other = await openPeer("other");
    await pairUp(app, other);
    const pairs = await listPairs(app.ctx.instance);
    const wrong = pairs.find(({ peer_did }) => peer_did.includes(":other-"))!;
    const outcome = await app.ctx.syncs.sync({ ...wrong, url: liar.url });
    expect(outcome.failure?.message).toMatch(/is did:sync:instance:liar-/);
  });
});

test("cursors of a peer are texts without meaning, up to their bound", async () => {
  liar.answer = () => liar.page([entry()], { cursor: toBase64Url(new Uint8Array(384)), more: false });
  expect(await sync()).toMatchObject({ failure: null, pulled: 1 });
  liar.answer = () => liar.page([entry()], { cursor: "x".repeat(513), more: false });
  expect((await sync()).failure?.message).toMatch(/something else than a cursor/);
});
