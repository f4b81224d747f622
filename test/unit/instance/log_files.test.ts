import { expect, test } from "bun:test";
import { appendFileSync, existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { followLog, lastOf, readLog } from "../../../lib/instance/log_files.ts";
import { openLog } from "../../../server/log.ts";
import { ScratchFolder } from "../../kit/store.ts";

const NOW = 1_800_000_000_000;
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);
const numbersIn = (path: string, since?: number) => [...readLog(path, since)].map(({ facts }) => facts.n);

test("all files of a log are one log, oldest first, in either format", () => {
  using folder = new ScratchFolder();
  const path = folder.file("spl.log");
  expect(numbersIn(path)).toEqual([]);
  for (const [format, from] of [
    ["text", 0],
    ["json", 50],
  ] as const) {
    const log = openLog(path, () => NOW, { maxBytes: 1200, keep: 9, format });
    for (const n of numbers(from, from + 50)) log("event", { n });
  }
  expect(existsSync(`${path}.3`)).toBe(true);
  expect(numbersIn(path)).toEqual(numbers(0, 100));
  expect(lastOf(numbersIn(path), 3)).toEqual([97, 98, 99]);
  expect(lastOf(numbersIn(path), 1000)).toEqual(numbers(0, 100));
  expect(lastOf(numbersIn(path), 0)).toEqual([]);
});

test("what is older is left out, and what says no time goes with what came before it", () => {
  using folder = new ScratchFolder();
  const path = folder.file("spl.log");
  let now = NOW;
  const log = openLog(path, () => now);
  log("event", { n: 0 });
  appendFileSync(path, "a crash of old\n");
  now += 60_000;
  log("event", { n: 1 });
  appendFileSync(path, "  at somewhere\n\nand half a li");
  const read = (since: number) => [...readLog(path, since)].map(({ facts }) => facts.n ?? facts.text);
  expect(read(NOW + 1)).toEqual([1, "  at somewhere", "and half a li"]);
  expect(read(NOW)).toEqual([0, "a crash of old", 1, "  at somewhere", "and half a li"]);
  expect(read(NOW + 60_001)).toEqual([]);
});

test("a line that never ends is cut, and the next one is whole", () => {
  using folder = new ScratchFolder();
  const path = folder.file("spl.log");
  writeFileSync(path, `${"x".repeat(5_000_000)}\n`);
  openLog(path, () => NOW)("event", { n: 1 });
  const [long, next] = [...readLog(path)];
  expect(String(long!.facts.text).length).toBe(64 * 1024);
  expect(next!.facts).toEqual({ n: 1 });
});

/** A followed log: `next` waits for so many lines and returns their numbers. */
function follow(path: string, last: number | null) {
  const stop = new AbortController();
  const lines = followLog(path, { last, signal: stop.signal });
  return {
    async next(count: number): Promise<unknown[]> {
      const seen: unknown[] = [];
      while (seen.length < count) {
        const { value } = await lines.next();
        seen.push(value!.facts.n ?? value!.facts.text);
      }
      return seen;
    },
    /** Everything that is left once the signal is given. */
    async rest(): Promise<number> {
      stop.abort();
      return (await Array.fromAsync(lines)).length;
    },
  };
}

test("a followed log shows each line once, however often it turns over", async () => {
  using folder = new ScratchFolder();
  const path = folder.file("spl.log");
  const log = openLog(path, () => NOW, { maxBytes: 1200, keep: 20 });
  for (const n of numbers(0, 60)) log("event", { n });
  const followed = follow(path, 5);
  expect(await followed.next(5)).toEqual(numbers(55, 60));
  // Many times between two looks, once, and not at all.
  let from = 60;
  for (const more of [200, 30, 1, 300]) {
    for (const n of numbers(from, from + more)) log("event", { n });
    expect(await followed.next(more)).toEqual(numbers(from, from + more));
    from += more;
  }
  expect(await followed.rest()).toBe(0);
});

test("a followed log may begin later, be emptied, be removed, be moved away; half a line waits for its end", async () => {
  using folder = new ScratchFolder();
  const path = folder.file("spl.log");
  const followed = follow(path, null);
  const first = followed.next(1);
  const log = openLog(path, () => NOW);
  log("event", { n: 0 });
  expect(await first).toEqual([0]);
  rmSync(path);
  log("event", { n: 1 });
  expect(await followed.next(1)).toEqual([1]);
  writeFileSync(path, "");
  log("e", { n: 2 });
  expect(await followed.next(1)).toEqual([2]);
  appendFileSync(path, "half a ");
  const half = followed.next(1);
  appendFileSync(path, "line\n");
  expect(await half).toEqual(["half a line"]);
  renameSync(path, folder.file("elsewhere"));
  log("event", { n: 3 });
  expect(await followed.next(1)).toEqual([3]);
  expect(await followed.rest()).toBe(0);
});
