import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync } from "node:fs";
import { homePaths } from "../../lib/base/home.ts";
import { textLines } from "../../lib/base/lines.ts";
import { Box } from "../kit/box.ts";
import { splBinary } from "../kit/spl.ts";

let box: Box;
const log = () => homePaths(box.home.env.SYNCROPEL_HOME!).log;

beforeAll(async () => {
  box = await Box.serving();
});
afterAll(() => box[Symbol.asyncDispose]());

test("the log is shown beside the daemon and without it, as text and as JSON", async () => {
  expect(await box.ok("logs")).toMatch(/^\S+Z start version=\S+ did=did:sync:instance:\S+ url=\S+ pid=\d+ /);
  await box.stop();
  const text = (await box.ok("logs")).trimEnd().split("\n");
  expect(text.at(-1)).toMatch(/^\S+Z stop pid=\d+$/);
  const lines = await box.json<{ time: string; event: string; facts: object }[]>("logs");
  expect(lines).toHaveLength(text.length);
  expect(lines.at(-1)).toEqual({
    time: expect.any(String),
    event: "stop",
    facts: { pid: expect.any(Number) },
  });
  const ndjson = (await box.ok("logs", "-o", "ndjson")).trimEnd().split("\n");
  expect(ndjson.map((line) => JSON.parse(line))).toEqual(lines);
  expect(await box.ok("logs", "-n", "1")).toBe(`${text.at(-1)}\n`);
  expect(await box.ok("logs", "-n", "0", "-o", "json")).toBe("[]\n");
  expect(await box.ok("logs", "--since", "1h")).toBe(`${text.join("\n")}\n`);
  expect(await box.ok("logs", "--since", "9999-01-01")).toBe("");
  await box.serve();
});

test("what a crash left in it steers no terminal and shows no token", async () => {
  appendFileSync(log(), `\x1b]0;owned\x07 \u202e spl_live_ci_${"s".repeat(43)}\n`);
  expect(await box.ok("logs", "-n", "1")).toBe(`${String.raw`\x1b]0;owned\x07 \u202e spl_***`}\n`);
});

test("-f shows what comes, and ends with the signal", async () => {
  const child = Bun.spawn([splBinary(), "logs", "-f", "-n", "0", "-o", "ndjson"], {
    env: box.home.env,
    stdout: "pipe",
    stderr: "pipe",
  });
  const lines = textLines(child.stdout)[Symbol.asyncIterator]();
  await box.stop();
  await box.serve();
  const seen: string[] = [];
  while (seen.at(-1) !== "start") {
    const { value } = await lines.next();
    seen.push((JSON.parse(value!) as { event: string }).event);
  }
  child.kill("SIGTERM");
  expect([await child.exited, await child.stderr.text()]).toEqual([143, ""]);
});

test("what cannot be is refused with what to type", async () => {
  await using fresh = new Box();
  const refused = async (...args: string[]) => {
    const { status, stdout, stderr } = await fresh.spl(["logs", ...args]);
    return [status, stdout, stderr];
  };
  expect(await refused()).toEqual([
    1,
    "",
    `there is no log at ${homePaths(fresh.home.env.SYNCROPEL_HOME!).log}: no daemon has run in this home; spl serve --daemon starts one; journalctl --user -u spl.service has what a service said before it got so far\n`,
  ]);
  expect(await refused("-n", "many")).toEqual([
    2,
    "",
    '--lines "many" is no number of lines; a number from 0 to 1000000\n',
  ]);
  expect(await refused("-f", "-o", "json")).toMatchObject([2, "", expect.stringContaining("use -o ndjson")]);
  expect((await refused("--since", "soon"))[0]).toBe(2);
});
