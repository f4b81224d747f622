import { expect, test } from "bun:test";
import type { Status } from "../../lib/api/wire.ts";
import { emission, ndjsonOf, TestApp } from "../kit/app.ts";
import { statementOf } from "../kit/statements.ts";

type Told = Pick<Status, "instance_did" | "state" | "records" | "threads" | "digest">;

/** Reads events from a stream that does not end; null at its end. */
function events(response: Response): () => Promise<Told | null> {
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const reader = response.body!.getReader();
  let text = "";
  return async () => {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end >= 0) {
        const event = text.slice(0, end);
        text = text.slice(end + 2);
        if (event === ":") continue;
        const [, data] = /^event: status\ndata: (.*)$/.exec(event)!;
        return JSON.parse(data!) as Told;
      }
      const { done, value } = await reader.read();
      if (done) return null;
      text += new TextDecoder().decode(value);
    }
  };
}

test("they tell the status at once, and again when it changes, until the instance stops", async () => {
  await using app = await TestApp.open();
  const token = await app.token(["records:read"]);
  const next = events(await app.call("/v1/events", { token }));
  const status = await app.json<Status>("/v1/status");
  const { instance_did, digest } = status;
  expect(await next()).toMatchObject({ instance_did, state: "active", records: 0, threads: 0, digest });

  const waiting = next();
  await app.call("/v1/records", { json: emission("th_a", "one") });
  const after = await app.json<Status>("/v1/status");
  expect(await waiting).toMatchObject({ records: 1, threads: 1, digest: after.digest });
  expect(after.digest).not.toBe(digest);

  const last = next();
  app.stopping.abort();
  expect(await last).toBeNull();
});

test("many changes at once are told in few events, the last of them with all", async () => {
  await using app = await TestApp.open();
  const next = events(await app.call("/v1/events"));
  await next();
  const headers = { "content-type": "application/x-ndjson" };
  for (let n = 0; n < 20; n++) {
    const lines = Array.from({ length: 10 }, (_, i) => emission(`th_${n}`, `${i}`));
    await app.call("/v1/records", { headers, body: ndjsonOf(lines) });
  }
  let told = 0;
  for (let records = 0; records < 200; told++) records = (await next())!.records;
  expect(told).toBeLessThan(20);
});

test("nothing that changes no record or state is an event", async () => {
  await using app = await TestApp.open();
  const next = events(await app.call("/v1/events"));
  await next();
  const waiting = next();
  app.ctx.changes.announce();
  await app.token(["records:read"]);
  await app.call("/v1/records", { json: emission("th_a", "one") });
  expect(await waiting).toMatchObject({ records: 1 });
});

test("that another home has taken the identity over is told at once, and so is its end", async () => {
  await using app = await TestApp.open();
  const next = events(await app.call("/v1/events"));
  await next();
  const { instance } = app.ctx;
  const { did, key, epoch } = await instance.store.read((reader) => instance.signer(reader));
  const moved = statementOf({ steward_id: "f".repeat(32), epoch: epoch + 1 }, { did, key });
  const superseded = next();
  await app.call("/federation/v1/statement", { json: moved });
  expect(await superseded).toMatchObject({ state: "superseded", moved_to: moved.url });
  const revoked = next();
  await app.call("/v1/identity/revoke", { json: { did } });
  expect(await revoked).toMatchObject({ state: "revoked" });
  // A sign of life, due after 25 seconds, would tell it as well.
}, 15_000);

test("who may read single threads only is refused, and told what it takes", async () => {
  await using app = await TestApp.open();
  await app.call("/v1/records", { json: emission("th_a", "one") });
  const token = await app.token(["thread:th_a:read"]);
  const response = await app.call("/v1/events", { token });
  expect([response.status, await response.json()]).toMatchObject([
    403,
    { code: "forbidden", scope: "records:read" },
  ]);
});

test("the stream ends with the right to it, and with the client", async () => {
  await using app = await TestApp.open();
  const token = await app.token(["records:read"]);
  const gone = new AbortController();
  const [revoked, left] = [
    events(await app.call("/v1/events", { token })),
    events(await app.call("/v1/events", { signal: gone.signal })),
  ];
  await Promise.all([revoked(), left()]);
  const [cut, ended] = [revoked(), left()];
  const { id } = await app.json<{ id: string }>("/v1/token", { token });
  await app.call(`/v1/tokens/${id}`, { method: "DELETE" });
  // Without a final chunk.
  expect(
    await cut.then(
      () => "ended",
      () => "cut",
    ),
  ).toBe("cut");
  gone.abort();
  expect(await ended).toBeNull();
  expect(app.ctx.sessions.size).toBe(0);
});

test("at / browsers get the console, which holds nothing of the instance; others hear what there is", async () => {
  await using app = await TestApp.open();
  const browser = { accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };
  const page = await app.call("/", { headers: browser, remote: "192.0.2.7" });
  expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  expect(page.headers.get("content-security-policy")).toMatch(
    /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'self';/,
  );
  const { instance_did } = await app.json<Status>("/v1/status");
  expect(await page.text()).not.toContain(instance_did.split("-").at(-1)!);
  for (const headers of [{}, { accept: "*/*" }, { accept: "application/json" }]) {
    const other = await app.call("/", { headers, remote: "192.0.2.7" });
    expect([other.status, await other.json()]).toMatchObject([404, { code: "not_found" }]);
  }
});
