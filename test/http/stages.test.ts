import { expect, test } from "bun:test";
import { eventText } from "../../lib/base/log_line.ts";
import { type Line, splitLines } from "../../server/stages/lines.ts";
import { negotiate } from "../../server/stages/negotiate.ts";

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function split(text: string, size: number, most = 1000): Promise<[number, string][]> {
  const lines: Line[] = [];
  const chunks = inPieces(new TextEncoder().encode(text), size);
  for await (const batch of splitLines(chunks, most)) lines.push(...batch);
  return lines.map(({ number, bytes }) => [number, new TextDecoder().decode(bytes)]);
}

test("lines are the same however the bytes arrive", async () => {
  const text = 'a\n\n{"b":"é漢😀"}\r\n   \nlast';
  for (const size of [1, 2, 3, 7, 100]) {
    expect(await split(text, size)).toEqual([
      [1, "a"],
      [3, '{"b":"é漢😀"}\r'],
      [5, "last"],
    ]);
  }
  expect(await split("", 1)).toEqual([]);
  expect(await split("\n", 1)).toEqual([]);
});

test("a line has its longest length and no byte more", async () => {
  for (const size of [1, 3, 100]) {
    expect(await split("12345\n123\n", size, 5)).toHaveLength(2);
    await expect(split("1\n123456\n", size, 5)).rejects.toMatchObject({
      code: "body_too_large",
      detail: { line: 2 },
    });
  }
});

test("the client's preference decides, the first offer where it has none", () => {
  const [json, lines] = ["application/json", "application/x-ndjson"];
  const cases: [string | null, string][] = [
    [null, json],
    ["*/*", json],
    ["text/html", json],
    ["application/x-ndjson", lines],
    ["application/*", json],
    ["application/json;q=0.5, application/x-ndjson", lines],
    ["application/json, application/x-ndjson;q=0.9", json],
    ["APPLICATION/X-NDJSON ; q=1", lines],
    ["application/x-ndjson;q=0", json],
    ["text/html, application/x-ndjson;q=0.1", lines],
    ["application/x-ndjson;q=abc, application/json", json],
    ["", json],
  ];
  for (const [accept, expected] of cases)
    expect([accept, negotiate(accept, [json, lines])]).toEqual([accept, expected]);
});

test("no value can forge a line of the log or steer a terminal", () => {
  const value = 'x"\n2026 start\u001b[2J\u009b\u202e\r\u0000é';
  const text = eventText("request", { path: value, status: 404, remote: null });
  expect(text).toMatch(/^[ -~]+$/);
  expect(text).toStartWith("request path=");
  expect(text).toEndWith(" status=404 remote=null");
  const quoted = / path=("(?:[^"\\]|\\.)*") status/.exec(text)![1]!;
  expect(JSON.parse(quoted)).toBe(value);
});
