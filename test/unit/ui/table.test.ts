import { expect, test } from "bun:test";
import { type Column, renderTable } from "../../../lib/ui/table.ts";
import { makeStyle } from "../../../lib/ui/terminal.ts";

interface Row {
  thread: string;
  goal: string;
  records: number;
}

const columns: Column<Row>[] = [
  { title: "THREAD", value: (row) => row.thread },
  { title: "RECORDS", value: (row) => row.records, align: "right" },
  { title: "GOAL", value: (row) => row.goal, shrink: true },
];

test("columns stand beneath each other, numbers to the right, nothing behind the last", () => {
  const rows = [
    { thread: "th_a", records: 7, goal: "ship" },
    { thread: "th_long", records: 12345678, goal: "" },
  ];
  expect(renderTable(rows, columns, null)).toBe(
    ["THREAD    RECORDS  GOAL", "th_a            7  ship", "th_long  12345678", ""].join("\n"),
  );
});

test("wide and combined characters take the columns that terminals give them", () => {
  const rows = [
    { thread: "世界", records: 1, goal: "x" },
    { thread: "👩‍👩‍👧‍👦", records: 1, goal: "x" },
    { thread: "e\u0301", records: 1, goal: "x" },
  ];
  const lines = renderTable(rows, columns, null).trimEnd().split("\n");
  const beforeGoal = lines.map((line) =>
    line.slice(0, Math.max(line.lastIndexOf("GOAL"), line.lastIndexOf("x"))),
  );
  expect(beforeGoal.map((text) => Bun.stringWidth(text))).toEqual([17, 17, 17, 17]);
});

test("a row is one line whatever is stored in it", () => {
  const table = renderTable([{ thread: "th_a", records: 1, goal: "a\nb\x1b[2Jc" }], columns, null);
  expect(table.split("\n").length).toBe(3);
  expect(table).toContain("a\\nb\\x1b[2Jc");
});

test("a terminal gets lines that fit; what was cut shows it", () => {
  const rows = [{ thread: "th_a", records: 1, goal: "世界".repeat(40) }];
  for (const width of [40, 60, 80]) {
    const lines = renderTable(rows, columns, width).trimEnd().split("\n");
    expect(Math.max(...lines.map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(width);
    expect(lines[1]).toEndWith("…");
  }
});

test("a pipe gets everything", () => {
  const goal = "x".repeat(500);
  expect(renderTable([{ thread: "th_a", records: 1, goal }], columns, null)).toContain(goal);
});

test("a painted heading stays aligned", () => {
  const painted = renderTable(
    [{ thread: "th_a", records: 1, goal: "x" }],
    columns,
    null,
    makeStyle(true).bold,
  );
  const [heading, row] = painted.split("\n");
  expect(heading).toBe("\x1b[1mTHREAD  RECORDS  GOAL\x1b[22m");
  expect(row).toBe("th_a          1  x");
});
