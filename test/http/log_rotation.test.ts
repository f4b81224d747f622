import { expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { parseLogLine } from "../../lib/base/log_line.ts";
import { openLog } from "../../server/log.ts";
import { ScratchFolder } from "../kit/store.ts";
import { canMount, TinyDisk } from "../kit/tiny_disk.ts";

const clock = () => 1_800_000_000_000;
const numbersIn = (path: string) =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => parseLogLine(line).facts.n);

test("the log turns over while it is written: bounded, private, and no line is lost", () => {
  using folder = new ScratchFolder();
  const path = folder.file("spl.log");
  const log = openLog(path, clock, { maxBytes: 1000, keep: 5 });
  for (let n = 0; n < 100; n++) log("event", { n });
  const files = [5, 4, 3, 2, 1].map((k) => `${path}.${k}`).filter((file) => existsSync(file));
  expect(files.length).toBeGreaterThan(2);
  expect([...files, path].flatMap(numbersIn)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  for (const file of [...files, path]) {
    expect(statSync(file).size).toBeLessThanOrEqual(1000);
    expect(statSync(file).mode & 0o077).toBe(0);
  }
});

test("only so many old files are kept, the newest", () => {
  using folder = new ScratchFolder();
  const path = folder.file("spl.log");
  const log = openLog(path, clock, { maxBytes: 200, keep: 2, format: "json" });
  for (let n = 0; n < 100; n++) log("event", { n });
  expect([1, 2, 3].map((k) => existsSync(`${path}.${k}`))).toEqual([true, true, false]);
  const kept = [`${path}.2`, `${path}.1`, path].flatMap(numbersIn);
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, at) => 100 - kept.length + at));
});

test("a log that somebody emptied or removed goes on", () => {
  using folder = new ScratchFolder();
  const path = folder.file("spl.log");
  const log = openLog(path, clock, { maxBytes: 200 });
  for (let n = 0; n < 3; n++) log("event", { n });
  writeFileSync(path, "");
  for (let n = 3; n < 6; n++) log("event", { n });
  expect(existsSync(`${path}.1`)).toBe(false);
  rmSync(path);
  log("event", { n: 6 });
  expect(numbersIn(path)).toEqual([6]);
});

test.skipIf(!canMount)("on a full disk lines are counted, and told of when there is room again", () => {
  using folder = new ScratchFolder();
  using disk = new TinyDisk(folder.file("disk"), 256);
  const path = `${disk.path}/spl.log`;
  const log = openLog(path, clock);
  log("event", { n: 0 });
  disk.fill();
  for (let n = 1; n < 400; n++) log("event", { n, text: "x".repeat(100) });
  disk.relieve();
  log("event", { n: 400 });
  const lines = readFileSync(path, "utf8").split("\n");
  const [gap] = lines.map(parseLogLine).filter(({ event }) => event === "log-gap");
  // The line that was cut is one of the lost ones.
  const whole = lines
    .map(parseLogLine)
    .filter(
      ({ event, facts: { n, text } }) =>
        event === "event" && (text?.toString().length === 100 || n === 0 || n === 400),
    );
  expect(whole.at(-1)!.facts.n).toBe(400);
  expect(Number(gap!.facts.lost) + whole.length).toBe(401);
});
