import { expect, test } from "bun:test";
import { printList, printResult } from "../../commands/_kit.ts";
import { collectingContext } from "../kit/context.ts";

const rows = [
  { id: 1, text: "one" },
  { id: 2, text: "two\x9b2J\u202e" },
];
const columns = [{ title: "TEXT", value: (row: { text: string }) => row.text }];

async function printed(mode: string, list: typeof rows): Promise<{ stdout: string; stderr: string }> {
  const ctx = collectingContext(["-o", mode]);
  await printList(ctx, list, columns, "no rows yet");
  return { stdout: ctx.out.text, stderr: ctx.err.text };
}

test("a list as text, as one JSON array, as a JSON value a line", async () => {
  expect(await printed("text", rows)).toEqual({ stdout: "TEXT\none\ntwo\\x9b2J\\u202e\n", stderr: "" });
  const json = await printed("json", rows);
  expect(JSON.parse(json.stdout)).toEqual(rows);
  const ndjson = await printed("ndjson", rows);
  expect(ndjson.stdout).toEndWith("\n");
  expect(
    ndjson.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual(rows);
  for (const { stdout } of [json, ndjson]) expect(stdout).not.toMatch(/[\x80-\x9f\u202e]/);
});

test("an empty list is told to people and is an empty list to machines", async () => {
  expect(await printed("text", [])).toEqual({ stdout: "", stderr: "no rows yet\n" });
  expect(await printed("json", [])).toEqual({ stdout: "[]\n", stderr: "" });
  expect(await printed("ndjson", [])).toEqual({ stdout: "", stderr: "" });
});

test("one result is one line of JSON", async () => {
  const ctx = collectingContext(["--output=json"]);
  await printResult(ctx, { a: "\n\x7f" }, () => "never");
  expect(ctx.out.text).toBe('{"a":"\\n\\u007f"}\n');
});
