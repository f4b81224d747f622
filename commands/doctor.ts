import { backupHealth } from "../lib/backup/last_verified.ts";
import { SplError } from "../lib/base/errors.ts";
import { defaultHome } from "../lib/base/home.ts";
import { counted } from "../lib/base/text.ts";
import { drillHealth } from "../lib/drill/receipts.ts";
import { examine } from "../lib/instance/doctor.ts";
import type { DoctorRow } from "../lib/instance/types.ts";
import { safeText } from "../lib/ui/safe_text.ts";
import { defineSpl, jsonLine, runAlone } from "./_kit.ts";

const command = defineSpl({
  name: "doctor",
  summary: "Examine this machine's instance, with or without its daemon",
  description: "Ends with status 0 when nothing failed. Warnings do not fail.",
  args: {
    rebuild: { type: "boolean", description: "recompute counts, digest and heads from the records" },
    deep: { type: "boolean", description: "hash every record and check every signature" },
  },
  examples: ["spl doctor", "spl doctor --deep -o json"],
  run: async (ctx, { rebuild, deep }) => {
    const rows: DoctorRow[] = [];
    const now = ctx.clock();
    const outside = {
      backup: (did: string | null) => backupHealth(ctx.env, did, now),
      drill: (did: string | null) => drillHealth(ctx.env, did, now),
    };
    for await (const row of examine(defaultHome(ctx.env), { rebuild, deep, outside })) {
      rows.push(row);
      if (ctx.output === "text") await ctx.out.write(line(row));
      else if (ctx.output === "ndjson") await ctx.out.write(jsonLine(row));
    }
    if (ctx.output === "json") await ctx.out.write(jsonLine(rows));
    const failed = rows.filter((row) => row.result === "fail").length;
    if (failed > 0) {
      throw new SplError("unhealthy", `${counted(failed, "check")} failed`, {
        hint: "do what the rows above say",
      });
    }
  },
});

function line({ check, result, detail, fix }: DoctorRow): string {
  const mark = { pass: "PASS", warn: "WARN", fail: "FAIL" }[result];
  const mend = fix === null ? "" : `  → ${fix}`;
  return `${safeText(`${mark}  ${check.padEnd(11)}  ${detail}${mend}`)}\n`;
}

export default command;
if (import.meta.main) await runAlone(command);
