import { expect, test } from "bun:test";
import { Progress } from "../../../lib/ui/progress.ts";
import { Collector } from "../../kit/context.ts";

const WIPE = "\r\x1b[2K";

test("at most ten lines a second are drawn, and the last is wiped away", () => {
  const err = new Collector();
  let now = 0;
  const progress = new Progress(err, { enabled: true, clock: () => now, width: 80 });
  for (; now < 1000; now++) progress.update(`${now} records`);
  const drawn = err.text.split(WIPE).slice(1);
  expect(drawn).toEqual(Array.from({ length: 10 }, (_, i) => `${i * 100} records`));
  progress.clear();
  progress.clear();
  expect(err.text).toEndWith(`900 records${WIPE}`);
});

test("a long line is cut, since a wrapped one could not be wiped", () => {
  const err = new Collector();
  new Progress(err, { enabled: true, clock: () => 0, width: 20 }).update("x".repeat(50));
  expect(err.text).toBe(`${WIPE}${"x".repeat(18)}…`);
});

test("nothing is written where it is not enabled", () => {
  const err = new Collector();
  const progress = new Progress(err, { enabled: false, clock: () => 0, width: 80 });
  progress.update("1 record");
  progress.clear();
  expect(err.text).toBe("");
});
