import { safeJson, safeText } from "../lib/base/safe_text.ts";
import { type Column, renderTable } from "../lib/ui/table.ts";
import type { Context } from "./_context.ts";

/** A value as one line of JSON that is safe on a terminal. */
export function jsonLine(value: unknown): string {
  return `${safeJson(JSON.stringify(value))}\n`;
}

/**
 * Prints one result: as the given text, or the value itself as one line of JSON.
 * @param text whole lines for people; stored text in it must have gone through `safeText`
 */
export async function printResult(ctx: Context, value: unknown, text: () => string): Promise<void> {
  await ctx.progress.clear();
  return ctx.out.write(ctx.output === "text" ? text() : jsonLine(value));
}

/**
 * Prints a list: as a table (it holds all rows), as one JSON array, or streamed as one JSON value a line.
 * @param empty what standard error says in text mode when there is nothing, such as `no threads yet`
 */
export async function printList<Row>(
  ctx: Context,
  rows: Iterable<Row> | AsyncIterable<Row>,
  columns: readonly Column<Row>[],
  empty: string,
): Promise<void> {
  if (ctx.output === "text") {
    const all = await Array.fromAsync(rows);
    if (all.length === 0) await ctx.err.line(empty);
    else await ctx.out.write(renderTable(all, columns, ctx.width, ctx.style.bold));
    return;
  }
  if (ctx.output === "ndjson") {
    for await (const row of rows) await ctx.out.write(jsonLine(row));
    return;
  }
  let before = "[";
  for await (const row of rows) {
    await ctx.out.write(before + jsonLine(row).trimEnd());
    before = ",\n";
  }
  await ctx.out.write(before === "[" ? "[]\n" : "]\n");
}

/**
 * Prints a list as `printList` does, but as text in one table for each group, below its name.
 * @param groupOf the name that rows share, which may be stored text
 */
export async function printGroups<Row>(
  ctx: Context,
  rows: readonly Row[],
  groupOf: (row: Row) => string,
  columns: readonly Column<Row>[],
  empty: string,
): Promise<void> {
  if (ctx.output !== "text" || rows.length === 0) return printList(ctx, rows, columns, empty);
  let between = "";
  for (const [name, group] of Map.groupBy(rows, groupOf)) {
    await ctx.out.write(`${between}${safeText(name)}\n`);
    await printList(ctx, group, columns, empty);
    between = "\n";
  }
}
