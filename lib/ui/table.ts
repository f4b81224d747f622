import { safeText } from "../base/safe_text.ts";
import { fit } from "./fit.ts";
import type { Paint } from "./terminal.ts";

export interface Column<Row> {
  /** The heading, in capitals. */
  title: string;
  /** Stored text may be returned as it is; the table makes it safe. */
  value: (row: Row) => string | number;
  align?: "right";
  /** May be cut where the terminal is too narrow. At least one column should. */
  shrink?: boolean;
}

const GAP = "  ";
const NARROWEST = 8;

/**
 * Aligned columns with a heading, one row a line, each line ended by a line feed.
 * @param width columns of the terminal, or null (pipes and files) to cut nothing
 * @param heading how the heading is painted
 */
export function renderTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  width: number | null,
  heading: Paint = (text) => text,
): string {
  const cells = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => safeText(String(column.value(row))))),
  ];
  const widths = columns.map((_, c) =>
    cells.reduce((most, line) => Math.max(most, Bun.stringWidth(line[c]!)), 0),
  );
  if (width !== null) shrink(widths, columns, width);
  const lines = cells.map((line) =>
    line
      .map((cell, c) => pad(fit(cell, widths[c]!), widths[c]!, columns[c]!.align))
      .join(GAP)
      .trimEnd(),
  );
  const [titles, ...body] = lines;
  return `${[heading(titles!), ...body].join("\n")}\n`;
}

/** Takes columns from the widest that may shrink until the table fits or nothing is left to take. */
function shrink<Row>(widths: number[], columns: readonly Column<Row>[], available: number): void {
  let excess = widths.reduce((sum, w) => sum + w, GAP.length * (widths.length - 1)) - available;
  for (; excess > 0; excess--) {
    let widest = -1;
    for (const [c, column] of columns.entries()) {
      if (column.shrink && widths[c]! > NARROWEST && widths[c]! > (widths[widest] ?? 0)) widest = c;
    }
    if (widest < 0) return;
    widths[widest]!--;
  }
}

function pad(cell: string, width: number, align: "right" | undefined): string {
  const space = " ".repeat(Math.max(0, width - Bun.stringWidth(cell)));
  return align === "right" ? space + cell : cell + space;
}
