import { expect, test } from "bun:test";
import { exposition } from "../../server/exposition.ts";
import { emission, TestApp } from "../kit/app.ts";
import { readExposition } from "../kit/exposition.ts";

test("what happened is counted by route pattern, never by what a client sends", async () => {
  await using app = await TestApp.open();
  const token = await app.token(["records:read"]);
  await app.call("/v1/records", { json: emission("th_a", "one") });
  await app.call("/v1/records", { json: emission("th_b", "two") });
  for (const thread of ["th_a", "th_b"]) await app.call(`/v1/threads/${thread}`, { token });
  for (let n = 0; n < 50; n++) await app.call(`/secret-${n}`, { token, method: "PROPFIND" });
  await app.call("/v1/records", { token, json: emission("th_a", "refused") });
  const response = await app.call("/metrics", { token });
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await response.text();
  const values = readExposition(text);
  const requests = (method: string, route: string, status: string) =>
    values.get(`spl_http_requests_total{method="${method}",route="${route}",status="${status}"}`);
  expect(requests("POST", "/v1/records", "2xx")).toBe(2);
  expect(requests("POST", "/v1/records", "4xx")).toBe(1);
  expect(requests("GET", "/v1/threads/:thread", "2xx")).toBe(2);
  expect(requests("none", "none", "4xx")).toBe(50);
  const histogram = (suffix: string, more = "") =>
    values.get(
      `spl_http_request_duration_seconds_${suffix}{method="POST",route="/v1/records",status="2xx"${more}}`,
    );
  expect([histogram("count"), histogram("bucket", ',le="+Inf"')]).toEqual([2, 2]);
  expect(histogram("sum")).toBeGreaterThan(0);
  expect(values.get("spl_records")).toBe(2);
  expect(values.get("spl_threads")).toBe(2);
  expect(values.get('spl_state{state="active"}')).toBe(1);
  expect(values.get('spl_state{state="revoked"}')).toBe(0);
  expect(values.get('spl_store_bytes{file="db"}')).toBeGreaterThan(0);
  expect(values.get("process_resident_memory_bytes")).toBeGreaterThan(1_000_000);
  for (const secret of [token, "secret-", "th_a", "PROPFIND"]) expect(text).not.toContain(secret);
});

test("it is open to the socket and to tokens that may read records, and to nobody else", async () => {
  await using app = await TestApp.open();
  const status = async (options: object) => (await app.call("/metrics", options)).status;
  expect(await status({})).toBe(200);
  expect(await status({ remote: "192.0.2.1" })).toBe(401);
  expect(await status({ token: await app.token(["records:write"]) })).toBe(403);
});

test("the age of the last sync is told by pair, and a stranger who asks has no label", async () => {
  let now = 1_800_000_000_000;
  await using app = await TestApp.open({ ports: { clock: () => now } });
  const { store } = app.ctx.instance;
  const did = "did:web:peer.example";
  const own = (await app.json<{ instance_did: string }>("/health")).instance_did;
  const { id } = await app.json<{ id: string }>("/v1/records", {
    json: {
      thread: "th_federation_pairs",
      act: "LEARN",
      actor: own,
      body: { topic: "pair", peer_did: did, url: "https://peer.example", state: "active" },
    },
  });
  await store.transact(async (writer) => {
    await writer.putPeer({ did, cursor: null, lastSync: now, failures: 1, nextAt: 0, problem: "gone" });
    await writer.putPairRequest({ id: "0123456789ab", did: "did:web:x", url: null, name: null, at: 1 });
  });
  now += 90_000;
  const text = await (await app.call("/metrics")).text();
  const values = readExposition(text);
  expect(values.get(`spl_sync_age_seconds{pair="${id.slice(0, 12)}"}`)).toBe(90);
  expect(values.get('spl_pairs{state="degraded"}')).toBe(1);
  expect(values.get('spl_pairs{state="active"}')).toBe(0);
  expect(text).not.toContain("0123456789ab");
});

test("open streams are counted until they end, the owner's as well", async () => {
  await using app = await TestApp.open();
  const streams = async () =>
    readExposition(await (await app.call("/metrics")).text()).get("spl_open_streams");
  const stream = await app.call("/v1/events", { headers: { accept: "text/event-stream" } });
  expect(await streams()).toBe(1);
  await stream.body!.cancel();
  expect(await streams()).toBe(0);
});

test("labels and help are escaped, so that no value can forge a line", () => {
  const labels = { a: 'x"} 1\nspl_forged 1\\' };
  const text = exposition([
    { name: "m", type: "gauge", help: "two\nlines \\", samples: [{ labels, value: 1 }] },
  ]);
  expect([...readExposition(text).keys()]).toEqual([String.raw`m{a="x\"} 1\nspl_forged 1\\"}`]);
});
