import { expect, test } from "bun:test";
import { emission, linesOf, ndjsonOf, TestApp } from "../kit/app.ts";

const NDJSON = { accept: "application/x-ndjson" };

interface PageOf<T> {
  items: T[];
  next: string | null;
}
interface FeedItem {
  seq: number;
  id: string;
  record: { thread: string; body: { text: string } };
}

async function filled(threads: string[], each: number): Promise<TestApp> {
  const app = await TestApp.open();
  const lines = Array.from({ length: each }, (_, i) =>
    threads.map((thread) => emission(thread, `${i}`)),
  ).flat();
  await app.call("/v1/records", { headers: { "content-type": NDJSON.accept }, body: ndjsonOf(lines) });
  return app;
}

/** All items of a listing, page by page. */
async function pages<T>(app: TestApp, path: string, limit: number): Promise<T[]> {
  const all: T[] = [];
  for (let after = ""; ; ) {
    const cursor = after === "" ? "" : `&after=${encodeURIComponent(after)}`;
    const { items, next } = await app.json<PageOf<T>>(`${path}?limit=${limit}${cursor}`);
    expect(items.length).toBeLessThanOrEqual(limit);
    all.push(...items);
    if (next === null) return all;
    after = next;
  }
}

test("every listing is the same by pages of any size and as NDJSON", async () => {
  await using app = await filled(["th_a", "th_b", "th_c"], 10);
  for (const path of ["/v1/threads", "/v1/actors", "/v1/threads/th_b/records", "/v1/records"]) {
    const whole = await linesOf(await app.call(path, { headers: NDJSON }));
    expect(whole.length).toBeGreaterThan(0);
    for (const limit of [1, 3, 10, 100])
      expect(await pages<never>(app, path, limit)).toEqual(whole as never[]);
  }
});

test("a thread as NDJSON is canonical, in canonical order, and holds nothing local", async () => {
  await using app = await filled(["th_a"], 250);
  const text = await (await app.call("/v1/threads/th_a/records", { headers: NDJSON })).text();
  const lines = text.trimEnd().split("\n");
  expect(lines).toHaveLength(250);
  for (const [clock, line] of lines.entries()) {
    const envelope = JSON.parse(line);
    expect(Object.keys(envelope)).toEqual(["id", "record", "sig", "signer"]);
    expect(envelope.record.clock).toBe(clock);
    expect(JSON.stringify(envelope)).toBe(line);
  }
});

test("the feed begins behind a position and can be narrowed to a thread", async () => {
  await using app = await filled(["th_a", "th_b"], 5);
  const all = (await app.json<PageOf<FeedItem>>("/v1/records")).items;
  const seqs = all.map((item) => item.seq);
  expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
  const { items } = await app.json<PageOf<FeedItem>>(`/v1/records?after=${seqs[3]}&thread=th_b`);
  const expected = all.slice(4).filter((item) => item.record.thread === "th_b");
  expect(items).toEqual(expected);
});

/** Reads lines from a stream that does not end. */
function liveLines(response: Response): () => Promise<FeedItem | null> {
  const reader = response.body!.pipeThrough(new TextDecoderStream() as never).getReader();
  let rest = "";
  return async () => {
    for (;;) {
      const end = rest.indexOf("\n");
      if (end >= 0) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 1);
        if (line !== "") return JSON.parse(line) as FeedItem;
        continue;
      }
      const { done, value } = await reader.read();
      if (done) return null;
      rest += value as unknown as string;
    }
  };
}

test("who follows gets what is there, then what comes, until the instance stops", async () => {
  await using app = await filled(["th_a"], 2);
  const response = await app.call("/v1/records?follow=true&thread=th_a", { headers: NDJSON });
  const next = liveLines(response);
  expect((await next())?.record.body.text).toBe("0");
  expect((await next())?.record.body.text).toBe("1");
  const waiting = next();
  await app.call("/v1/records", { json: emission("th_other", "not this") });
  await app.call("/v1/records", { json: emission("th_a", "this") });
  expect((await waiting)?.record.body.text).toBe("this");
  const last = next();
  app.stopping.abort();
  expect(await last).toBeNull();
});

test("who follows an empty instance is let in at once", async () => {
  await using app = await TestApp.open();
  const response = await app.call("/v1/records?follow=true", { headers: NDJSON });
  const { value } = await response.body!.getReader().read();
  expect(new TextDecoder().decode(value)).toBe("\n");
});

test("a client that goes away ends what it followed", async () => {
  await using app = await TestApp.open();
  const gone = new AbortController();
  const response = await app.call("/v1/records?follow=true", { headers: NDJSON, signal: gone.signal });
  const next = liveLines(response);
  const waiting = next();
  gone.abort();
  expect(await waiting).toBeNull();
});
