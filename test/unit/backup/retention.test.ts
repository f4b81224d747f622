import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Retention, toPrune } from "../../../lib/backup/retention.ts";

/** Backups at these times, which are their names. */
const at = (...times: string[]) => times.map((name) => ({ name, time: Date.parse(`${name}Z`) }));
const names = (list: { name: string }[]) => list.map(({ name }) => name);

const WEEK = at(
  "2026-11-16T03:00:00", // Monday
  "2026-11-17T03:00:00",
  "2026-11-22T03:00:00", // Sunday of the same week
  "2026-11-23T03:00:00",
  "2026-11-24T03:00:00",
  "2026-11-24T23:59:59",
  "2026-11-25T00:00:00",
);
const YEARS = at(
  "2024-11-30T12:00:00",
  "2024-12-29T12:00:00", // Sunday of week 52
  "2024-12-30T12:00:00", // Monday of week 1 of 2025
  "2024-12-31T12:00:00",
  "2025-01-05T12:00:00", // Sunday of that week
  "2025-01-06T12:00:00",
  "2025-02-01T12:00:00",
);

const cases: [rule: string, backups: typeof WEEK, Retention, removed: string[]][] = [
  ["no rule keeps all", WEEK, {}, []],
  ["the last two", WEEK, { last: 2 }, names(WEEK.slice(0, 5))],
  ["more than there are", WEEK, { last: 20 }, []],
  ["a day begins at midnight in UTC, and its newest stays", WEEK, { daily: 2 }, names([...WEEK.slice(0, 5)])],
  [
    "days without a backup do not count",
    WEEK,
    { daily: 4 },
    ["2026-11-16T03:00:00", "2026-11-17T03:00:00", "2026-11-24T03:00:00"],
  ],
  ["a week ends on Sunday", WEEK, { weekly: 1 }, names(WEEK.slice(0, 6))],
  [
    "a rule that is not used up keeps the oldest as well",
    WEEK,
    { weekly: 3 },
    ["2026-11-17T03:00:00", "2026-11-23T03:00:00", "2026-11-24T03:00:00", "2026-11-24T23:59:59"],
  ],
  ["rules add up", WEEK, { last: 1, weekly: 2 }, names(WEEK.filter(({ name }) => !/-22T|-25T/.test(name)))],
  [
    "a week may lie in two years",
    YEARS,
    { weekly: 4 },
    ["2024-11-30T12:00:00", "2024-12-30T12:00:00", "2024-12-31T12:00:00"],
  ],
  ["months", YEARS, { monthly: 3 }, names(YEARS.filter(({ name }) => !/02-01|01-06|12-31/.test(name)))],
];

for (const [rule, backups, retention, removed] of cases) {
  test(rule, () => {
    expect(names(toPrune([...backups].reverse(), retention, backups.at(-1)!.name))).toEqual(removed);
  });
}

test("the last verified backup stays under every rule, and so does the newest of all", () => {
  const count = fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined });
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 0, max: 2e9 }), { minLength: 1, maxLength: 40 }),
      fc.nat(),
      fc.record({ last: count, daily: count, weekly: count, monthly: count }),
      (seconds, pick, retention) => {
        const backups = seconds.map((s) => ({ name: String(s), time: s * 1000 }));
        const verified = backups[pick % backups.length]!.name;
        const removed = new Set(names(toPrune(backups, retention, verified)));
        expect(removed.has(verified)).toBe(false);
        expect(removed.has(String(Math.max(...seconds)))).toBe(false);
        const kept = backups.filter(({ name }) => !removed.has(name));
        expect(names(toPrune(kept, retention, verified))).toEqual([]);
      },
    ),
  );
});
