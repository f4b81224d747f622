import { afterAll, beforeAll, expect, test } from "bun:test";
import type { MintedToken } from "../../lib/api/wire.ts";
import { emission, ndjsonOf, TestApp } from "../kit/app.ts";
import { Served } from "../kit/served.ts";

/** What is open in someone's name ends with the right to it, on real sockets. */

const JSON_BODY = { "content-type": "application/json" };
const NDJSON = { accept: "application/x-ndjson" };
/** An end that takes longer than this did not come of the revocation. */
const SOON_MS = 1000;

type StreamReader = Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "cancel">;

let served: Served;
let now = Date.now();
beforeAll(async () => {
  served = await Served.start({ ports: { clock: () => now } });
  const lines = Array.from({ length: 4000 }, (_, i) => ({
    ...emission("th_a", `record ${i}`),
    body: { noise: Buffer.from(crypto.getRandomValues(new Uint8Array(4000))).toString("base64") },
  }));
  const headers = { "content-type": "application/x-ndjson" };
  await served.unix("/v1/records", { method: "POST", headers, body: ndjsonOf(lines) });
});
afterAll(() => served[Symbol.asyncDispose]());

async function minted(
  account: string,
  scopes: string[],
  expires_at: string | null = null,
): Promise<MintedToken> {
  const body = JSON.stringify({ account, scopes, expires_at });
  const response = await served.unix("/v1/tokens", { method: "POST", headers: JSON_BODY, body });
  return (await response.json()) as MintedToken;
}

function signed({ token }: MintedToken, more: Record<string, string> = {}): Record<string, string> {
  return { authorization: `Bearer ${token}`, ...more };
}

async function revoke(path: string): Promise<void> {
  expect((await served.unix(path, { method: "DELETE" })).status).toBe(200);
}

/** Reads to the end, and tells whether that was the whole or a connection that was cut. */
async function drained(reader: StreamReader): Promise<"whole" | "cut"> {
  try {
    while (!(await reader.read()).done);
    return "whole";
  } catch {
    return "cut";
  }
}

async function follow(token: MintedToken): Promise<StreamReader> {
  const headers = signed(token, NDJSON);
  const response = await served.tcp("/v1/records?follow=true&after=4000", { headers });
  expect(response.status).toBe(200);
  const reader = response.body!.getReader();
  await reader.read();
  return reader;
}

async function ms(promise: Promise<unknown>): Promise<number> {
  const since = performance.now();
  await promise;
  return performance.now() - since;
}

test("a stream that is followed ends when its token is revoked, its account, or one of its scopes", async () => {
  const ends: ((token: MintedToken) => string)[] = [
    ({ id }) => `/v1/tokens/${id}`,
    ({ account }) => `/v1/service-accounts/${account}`,
    ({ account }) => `/v1/service-accounts/${account}?scopes=records:write`,
  ];
  for (const [i, path] of ends.entries()) {
    const token = await minted(`follower-${i}`, ["records:read", "records:write"]);
    const other = await minted(`other-${i}`, ["records:read"]);
    const [reader, kept] = [await follow(token), await follow(other)];
    await revoke(path(token));
    expect(await ms(drained(reader))).toBeLessThan(SOON_MS);
    const body = JSON.stringify(emission("th_b", "still here"));
    await served.unix("/v1/records", { method: "POST", headers: JSON_BODY, body });
    expect(new TextDecoder().decode((await kept.read()).value)).toContain("still here");
    await kept.cancel();
  }
});

test("a stream that is followed ends when its token expires", async () => {
  const token = await minted("brief", ["records:read"], new Date(now + 60_000).toISOString());
  const reader = await follow(token);
  now += 60_000;
  expect(await ms(drained(reader))).toBeLessThan(SOON_MS);
  expect((await served.tcp("/v1/status", { headers: signed(token) })).status).toBe(401);
});

test("a download that loses its token is cut, and nobody takes the part for the whole", async () => {
  const token = await minted("exporter", ["admin"]);
  const response = await served.tcp("/v1/export?compression=none", { headers: signed(token) });
  const reader = response.body!.getReader();
  await reader.read();
  await revoke(`/v1/tokens/${token.id}`);
  expect(await drained(reader)).toBe("cut");
  const whole = await served.unix("/v1/export?compression=none");
  expect(await drained(whole.body!.getReader())).toBe("whole");
});

test("an upload that loses its token is refused while it is under way, and nothing of it stays", async () => {
  for (const [path, type] of [
    ["/v1/import?force_overwrite=true", "application/octet-stream"],
    ["/v1/records", "application/x-ndjson"],
  ] as const) {
    const token = await minted(`uploader-${type.slice(-3)}`, ["admin"]);
    const pipe = new TransformStream<Uint8Array, Uint8Array>();
    const writer = pipe.writable.getWriter();
    const headers = signed(token, { "content-type": type });
    const answer = served.tcp(path, { method: "POST", headers, body: pipe.readable });
    await writer.write(new TextEncoder().encode('{"thread":"th_cut","act":"DO",'));
    await used(token);
    await revoke(`/v1/tokens/${token.id}`);
    const since = performance.now();
    const response = await answer;
    expect(performance.now() - since).toBeLessThan(SOON_MS);
    expect([response.status, await response.json()]).toMatchObject([401, { code: "unauthorized" }]);
    await writer.abort().catch(() => undefined);
  }
  expect((await served.unix("/v1/threads/th_cut")).status).toBe(404);
});

test("a batch that loses its token ends after what is stored, and the instance goes on", async () => {
  const token = await minted("batch", ["records:write"]);
  const pipe = new TransformStream<Uint8Array, Uint8Array>();
  const writer = pipe.writable.getWriter();
  const headers = signed(token, { ...NDJSON, "content-type": NDJSON.accept });
  const answer = served.tcp("/v1/records", { method: "POST", headers, body: pipe.readable });
  await writer.write(new TextEncoder().encode(ndjsonOf([emission("th_batch", "stored")])));
  const response = await answer;
  const reader = response.body!.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toContain('"thread":"th_batch"');
  await revoke(`/v1/tokens/${token.id}`);
  expect(await ms(drained(reader))).toBeLessThan(SOON_MS);
  await writer
    .write(new TextEncoder().encode(ndjsonOf([emission("th_batch", "late")])))
    .catch(() => undefined);
  await writer.abort().catch(() => undefined);
  const thread = await served.unix("/v1/threads/th_batch");
  expect(await thread.json()).toMatchObject({ records: 1 });
});

/** Waits until a request with this token has come in: its first use is written down. */
async function used({ id }: MintedToken): Promise<void> {
  for (;;) {
    const token = (await (await served.unix(`/v1/tokens/${id}`)).json()) as MintedToken;
    if (token.last_used_at !== null) return;
  }
}

test("nothing is kept of streams that have ended", async () => {
  await using app = await TestApp.open();
  const token = await app.token(["admin"]);
  const { sessions } = app.ctx;
  for (let i = 0; i < 3; i++) {
    await app.call("/v1/records", { token, json: emission("th_a", `${i}`) });
    await (await app.call("/v1/records", { token, headers: NDJSON })).text();
    const gone = new AbortController();
    const following = await app.call("/v1/records?follow=true", {
      token,
      headers: NDJSON,
      signal: gone.signal,
    });
    const reader = following.body!.getReader();
    await reader.read();
    expect(sessions.size).toBeGreaterThan(0);
    gone.abort();
    expect(await drained(reader)).toBe("whole");
    await (await app.call("/v1/export", { token, method: "HEAD" })).body?.cancel();
  }
  expect(sessions.size).toBe(0);
});
