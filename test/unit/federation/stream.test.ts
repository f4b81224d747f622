import { afterEach, beforeEach, expect, test } from "bun:test";
import { utf8 } from "../../../lib/base/bytes.ts";
import { listPairs, type PairView } from "../../../lib/instance/federation.ts";
import type { Entry } from "../../../lib/record/types.ts";
import { TestApp } from "../../kit/app.ts";
import { Liar } from "../../kit/liar.ts";
import { makeEntry, testSigner } from "../../kit/records.ts";
import { until } from "../../kit/until.ts";

/** A continuous pair with a peer on a real socket, whose pages a test sends one by one. */

const MINUTE = 60_000;
const REFUSED = expect.stringMatching(/^refused 1 with a wrong signature/);

let liar: Liar;
let app: TestApp;
let now: number;
let pages: ReadableStreamDefaultController<Uint8Array>;
/** What the peer answers to who asks for records by id, and how often that was. */
let byId: Entry[];
let asked: number;
let ending: AbortController;
let ended: Promise<void>;

beforeEach(async () => {
  now = 1_800_000_000_000;
  liar = new Liar();
  app = await TestApp.open({
    ports: { clock: () => now },
    federation: {
      isolated: false,
      policy: { networks: [], loopback: true },
      resolve: () => Promise.reject(new Error("no such host")),
    },
  });
  await liar.pairWith(app);
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      pages = controller;
      controller.enqueue(utf8(":\n\n"));
    },
  });
  byId = [];
  asked = 0;
  liar.answer = ({ method }, path) => {
    if (path.startsWith("/federation/v1/stream"))
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    if (method === "GET") return liar.page([]);
    asked++;
    return liar.page(byId, { cursor: null, more: false });
  };
  ending = new AbortController();
  ended = app.ctx.syncs.stream(await pair(), ending.signal);
});

afterEach(async () => {
  ending.abort();
  await ended;
  await app[Symbol.asyncDispose]();
  await liar[Symbol.asyncDispose]();
});

async function pair(): Promise<PairView> {
  return (await listPairs(app.ctx.instance))[0]!;
}

let sent = 0;
/** Sends a page with a record that holds, and resolves with what is wrong with the pair once that is here. */
async function page(more: boolean, ...others: Entry[]): Promise<string | null> {
  const clock = sent++;
  const good = makeEntry({ thread: `th_${clock}` }, { signer: liar.signer });
  const cursor = `c${clock}`;
  const text = await liar.page([good, ...others], { cursor, more }).text();
  now += 1000;
  pages.enqueue(utf8(`data: ${text.trimEnd().replaceAll("\n", "\ndata: ")}\n\n`));
  const at = new Date(now).toISOString();
  // The pages before may still be noting themselves: this one is in when its record is.
  await until(
    () => app.ctx.instance.store.read((reader) => reader.record(good.id)),
    (record) => record !== null,
  );
  return (await until(pair, ({ last_sync }) => last_sync === at)).problem;
}

function forged(): Entry {
  return { ...makeEntry({ thread: "th_lies" }, { signer: liar.signer }), sig: new Uint8Array(64).fill(3) };
}

test("a pair that was refused something recovers with the next that it is sent, as one that polls does", async () => {
  expect(await page(false)).toBeNull();
  expect(await page(false, forged())).toEqual(REFUSED);
  expect(await page(false)).toBeNull();
  // What it is caught up with in several pages is one sync.
  expect(await page(true, forged())).toEqual(REFUSED);
  expect(await page(true)).toEqual(REFUSED);
  expect(await page(false)).toEqual(REFUSED);
  expect(await page(false)).toBeNull();
});

test("records whose signer cannot be looked up are asked for again by the pair's interval, and until then it is not well", async () => {
  const unproven = makeEntry(
    { thread: "th_owed" },
    { signer: { ...testSigner(9), did: "did:web:a.example" } },
  );
  const owed = expect.stringContaining("by a signer whose key is not proven");
  byId = [unproven];
  expect(await page(false, unproven)).toEqual(owed);
  expect(await page(false)).toEqual(owed);
  expect(asked).toBe(0);
  now += MINUTE;
  await page(false);
  await until(
    async () => asked,
    (times) => times === 1,
  );
  expect(await page(false)).toEqual(owed);
  // It is gone there as well.
  byId = [];
  now += MINUTE;
  await page(false);
  await until(pair, ({ problem }) => problem === null);
  expect(await page(false)).toBeNull();
  expect(asked).toBe(2);
});
