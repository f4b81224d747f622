import { expect, test } from "bun:test";
import { ALICE, emission, linesOf, ndjsonOf, TestApp } from "../kit/app.ts";

const NDJSON = "application/x-ndjson";
const batch = { "content-type": NDJSON };

async function records(app: TestApp): Promise<number> {
  return (await app.json<{ records: number }>("/v1/status")).records;
}

test("one record is answered with its place and address", async () => {
  await using app = await TestApp.open();
  const first = await app.call("/v1/records", { json: emission("th_a", "one") });
  const emitted = (await first.json()) as { id: string };
  expect(first.status).toBe(201);
  expect(emitted).toMatchObject({ thread: "th_a", clock: 0, deduplicated: false });
  expect(first.headers.get("location")).toBe(`/v1/records/${emitted.id}`);

  const read = await app.json<{ id: string; record: { body: unknown } }>(`/v1/records/${emitted.id}`);
  expect(read).toMatchObject({ id: emitted.id, record: { body: { text: "one" }, actor: ALICE } });

  const again = await app.call("/v1/records", { json: emission("th_a", "one", { parents: [], clock: 0 }) });
  expect(again.status).toBe(200);
  expect(await again.json()).toEqual({ ...emitted, deduplicated: true } as never);
  expect(await records(app)).toBe(1);
});

test("a record that would make a fork is refused", async () => {
  await using app = await TestApp.open();
  await app.call("/v1/records", { json: emission("th_a", "one") });
  const fork = await app.call("/v1/records", { json: emission("th_a", "other", { parents: [], clock: 0 }) });
  expect(fork.status).toBe(409);
  expect(await fork.json()).toMatchObject({ code: "fork_refused" });
  expect(await records(app)).toBe(1);
});

test("a batch is answered with counts, or line by line", async () => {
  await using app = await TestApp.open();
  const lines = Array.from({ length: 2500 }, (_, i) => emission(`th_${i % 7}`, `record ${i}`));
  const counted = await app.call("/v1/records", { headers: batch, body: ndjsonOf(lines) });
  expect(counted.status).toBe(200);
  expect(await counted.json()).toEqual({ emitted: 2500, deduplicated: 0 });

  const told = await app.call("/v1/records", {
    headers: { ...batch, accept: NDJSON },
    body: ndjsonOf(lines),
  });
  const answers = await linesOf<{ id: string; thread: string; clock: number }>(told);
  expect(answers.map(({ thread }) => thread)).toEqual(lines.map(({ thread }) => thread as string));
  expect(new Set(answers.map(({ id }) => id)).size).toBe(2500);
  expect(await records(app)).toBe(5000);
});

test("empty lines and a missing last line feed are no matter", async () => {
  await using app = await TestApp.open();
  const [one, two] = [emission("th_a", "1"), emission("th_a", "2")].map((line) => JSON.stringify(line));
  const body = `\n${one}\r\n  \n\n${two}`;
  const response = await app.call("/v1/records", { headers: batch, body });
  expect(await response.json()).toEqual({ emitted: 2, deduplicated: 0 });
});

test("an empty batch is nothing", async () => {
  await using app = await TestApp.open();
  const counted = await app.call("/v1/records", { headers: batch, body: "" });
  expect(await counted.json()).toEqual({ emitted: 0, deduplicated: 0 });
  const told = await app.call("/v1/records", { headers: { ...batch, accept: NDJSON }, body: "\n" });
  expect(told.status).toBe(200);
  expect(await told.text()).toBe("");
});

test("of a batch that fits one group, one bad line keeps all out", async () => {
  await using app = await TestApp.open();
  const good = ndjsonOf(Array.from({ length: 20 }, (_, i) => emission("th_a", `record ${i}`)));
  const bad: [string, string, string][] = [
    ["{", "invalid_json", "line 21: "],
    ['{"act":"DO"}', "invalid_record", "line 21: thread is missing"],
    [
      JSON.stringify(emission("th_a", "x", { parents: ["0".repeat(64)] })),
      "invalid_record",
      "line 21: parents",
    ],
    [JSON.stringify(emission("th_a", "x", { parents: [], clock: 0 })), "fork_refused", "line 21: "],
  ];
  for (const [line, code, detail] of bad) {
    for (const accept of ["application/json", NDJSON]) {
      const response = await app.call("/v1/records", {
        headers: { ...batch, accept },
        body: `${good}${line}\n${good}`,
      });
      const problem = (await response.json()) as { detail: string; hint: string };
      expect(problem).toMatchObject({ code, line: 21, committed: 0 });
      expect(problem.detail).toStartWith(detail);
      expect(problem.hint).toContain("nothing was stored");
      expect(problem).not.toHaveProperty("index");
    }
  }
  expect(await records(app)).toBe(0);
});

test("of a longer batch, the answer says how much is on disk", async () => {
  await using app = await TestApp.open();
  const good = ndjsonOf(Array.from({ length: 1500 }, (_, i) => emission("th_a", `record ${i}`)));
  const counted = await app.call("/v1/records", { headers: batch, body: `${good}{}\n` });
  expect(counted.status).toBe(422);
  expect(await counted.json()).toMatchObject({ line: 1501, committed: 1000 });
  expect(await records(app)).toBe(1000);

  const told = await app.call("/v1/records", { headers: { ...batch, accept: NDJSON }, body: `${good}{}\n` });
  const answers = await linesOf(told);
  expect(told.status).toBe(200);
  expect(answers).toHaveLength(1001);
  expect(answers.at(-1)).toMatchObject({ problem: { code: "invalid_record", line: 1501, committed: 1000 } });
  expect(await records(app)).toBe(2000);
});

test("a line without end is refused before it is read", async () => {
  await using app = await TestApp.open();
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(1024 * 1024).fill(0x20));
    },
  });
  const response = await app.call("/v1/records", { headers: batch, body: endless });
  expect(response.status).toBe(413);
  expect(await response.json()).toMatchObject({ code: "body_too_large", line: 1, committed: 0 });
  expect(pulled).toBeLessThan(16);
});

test("a live pipe is not held back: lines are stored while it stays open", async () => {
  await using app = await TestApp.open();
  const pipe = new TransformStream<Uint8Array, Uint8Array>();
  const writer = pipe.writable.getWriter();
  const answering = app.call("/v1/records", { headers: { ...batch, accept: NDJSON }, body: pipe.readable });
  await writer.write(new TextEncoder().encode(ndjsonOf([emission("th_live", "now")])));
  const reader = (await answering).body!.getReader();
  const first = new TextDecoder().decode((await reader.read()).value);
  expect(JSON.parse(first)).toMatchObject({ thread: "th_live", clock: 0 });
  expect(await records(app)).toBe(1);
  await writer.close();
  expect((await reader.read()).done).toBe(true);
});

test("a client that goes away in the middle leaves whole groups only", async () => {
  await using app = await TestApp.open();
  const lines = ndjsonOf(Array.from({ length: 1200 }, (_, i) => emission("th_a", `record ${i}`)));
  const broken = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(lines)),
    pull: (controller) => controller.error(new Error("connection reset")),
  });
  const response = await app.call("/v1/records", { headers: batch, body: broken });
  expect(await response.json()).toMatchObject({ code: "invalid_request", committed: 1000 });
  expect(await records(app)).toBe(1000);
  expect(app.logged.some((line) => line.startsWith("internal-error"))).toBe(false);
});

test("an actor is registered under its name", async () => {
  await using app = await TestApp.open();
  const response = await app.call("/v1/actors", {
    json: { actor: ALICE, name: "Alice", by: "did:sync:user:root" },
  });
  expect(response.status).toBe(201);
  const { items } = await app.json<{ items: unknown[] }>("/v1/actors");
  expect(items).toContainEqual({ actor: ALICE, name: "Alice", records: 0, registered: true });
});
