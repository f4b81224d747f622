import { expect, test } from "bun:test";
import { parseDuration, readTime } from "../../../lib/base/duration.ts";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const HOUR = 3_600_000;

test("a number and a unit is a duration, and nothing else is", () => {
  expect(["90s", "30m", "24h", "7d", "2w", "0d"].map(parseDuration)).toEqual([
    90_000,
    HOUR / 2,
    24 * HOUR,
    7 * 24 * HOUR,
    14 * 24 * HOUR,
    0,
  ]);
  for (const text of ["", "7", "d", "-1d", "1.5h", "7 d", "7D", "1y", "1d2h", "1e3s", "9999999999d", "٣d"]) {
    expect([text, parseDuration(text)]).toEqual([text, null]);
  }
});

test("a time is so long ago, so long ahead, or an ISO date or time with its zone", () => {
  const read = (text: string, direction: "ago" | "ahead" = "ago") =>
    readTime(text, "--since", NOW, direction);
  expect(read("24h")).toBe(NOW - 24 * HOUR);
  expect(read("90d", "ahead")).toBe(NOW + 90 * 24 * HOUR);
  expect(read("2026-02-28")).toBe(Date.parse("2026-02-28T00:00:00Z"));
  expect(read("2026-02-28T10:00:00+02:00")).toBe(Date.parse("2026-02-28T08:00:00Z"));
  expect(read("2024-02-29T23:59:59.999Z")).toBe(Date.parse("2024-02-29T23:59:59.999Z"));
  // Longer ago than there are times: all of it.
  expect(read("999999999w")).toBe(0);
});

test("anything else is refused with how to write it", () => {
  for (const text of [
    "yesterday",
    "2026-02-30",
    "2026-13-01",
    "2026-02-28T25:00:00Z",
    "2026-02-28T10:00:00",
    "02/28/2026",
    "1969-12-31",
    "999999999w",
  ]) {
    expect(() => readTime(text, "--expires", NOW, "ahead")).toThrow(
      `--expires ${JSON.stringify(text)} is neither a duration nor a time`,
    );
  }
});
