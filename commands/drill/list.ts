import { basename } from "node:path";
import { parseBackupName } from "../../lib/backup/names.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { keptReceipts } from "../../lib/drill/receipts.ts";
import { defineSpl, printGroups, runAlone } from "../_kit.ts";

/** How many drills of one instance the trend is of. */
const TREND = 10;

const command = defineSpl({
  name: "drill list",
  summary: "Good drills of this machine, and how long coming back took",
  description: "Receipts that their DID has not signed are shown as damaged.",
  args: {},
  examples: ["spl drill list", "spl drill list -o json"],
  run: async (ctx) => {
    const rows = keptReceipts(ctx.env, null).map(({ path, receipt }) => ({
      signature: receipt === null ? ("invalid" as const) : ("valid" as const),
      path,
      ...receipt,
    }));
    await printGroups(
      ctx,
      rows,
      ({ did }) => did ?? "damaged",
      [
        { title: "AT", value: ({ at }) => at?.slice(0, 19) ?? "?" },
        { title: "RECORDS", value: ({ records }) => records ?? "", align: "right" },
        { title: "BACK IN", value: ({ recovered_ms }) => seconds(recovered_ms), align: "right" },
        { title: "SOURCE", value: ({ source, path }) => (source === undefined ? path : shortSource(source)) },
      ],
      "no drills yet",
    );
    if (ctx.output !== "text") return;
    const whose = rows.findLast(({ did }) => did !== undefined)?.did;
    const times = rows
      .flatMap(({ did, recovered_ms }) => (did === whose ? (recovered_ms ?? []) : []))
      .slice(-TREND);
    if (whose === undefined || times.length < 2) return;
    const trend = `median ${seconds(median(times))}, newest ${seconds(times.at(-1))}`;
    await ctx.out.write(`\nback in, the last ${times.length} of ${safeText(whose)}: ${trend}\n`);
  },
});

/** A backup's name says which it is; where it lies, spl backup list tells. */
function shortSource(source: string): string {
  const name = basename(source);
  return parseBackupName(name) === null ? source : name;
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? "" : `${(ms / 1000).toFixed(2)} s`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export default command;
if (import.meta.main) await runAlone(command);
