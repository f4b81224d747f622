import { backupHealth } from "../lib/backup/last_verified.ts";
import { SplError } from "../lib/base/errors.ts";
import { defaultHome } from "../lib/base/home.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { counted } from "../lib/base/text.ts";
import { drillHealth } from "../lib/drill/receipts.ts";
import { examine, type OutsideCheck } from "../lib/instance/doctor.ts";
import type { DoctorRow } from "../lib/instance/types.ts";
import { defineSpl, jsonLine, runAlone } from "./_kit.ts";
import { checkPort, runningDaemon } from "./_port_check.ts";

const command = defineSpl({
  name: "doctor",
  summary: "Examine this machine's instance, with or without its daemon",
  description:
    "One row a check: PASS, WARN or FAIL, what was found, and what to type. Asks nobody beyond this machine. Its status\nis that of a monitoring plugin. With -o json the rows are one array of check, result, detail and fix.",
  args: {
    rebuild: { type: "boolean", description: "recompute counts, digest and heads from the records" },
    deep: { type: "boolean", description: "hash every record and check every signature" },
  },
  exits: ["0 all passes", "1 warnings only", "2 a check failed, or wrong usage"],
  examples: [
    "spl doctor",
    "spl doctor --deep -o json",
    "spl doctor >doctor.txt || mail -s doctor me <doctor.txt",
  ],
  run: async (ctx, { rebuild, deep }) => {
    const rows: DoctorRow[] = [];
    const now = ctx.clock();
    const home = defaultHome(ctx.env);
    const daemon = await runningDaemon(home);
    const outside: Record<string, OutsideCheck> = {
      port: () => checkPort(home, daemon),
      backup: (did, since) => backupHealth(ctx.env, did, since, now),
      drill: (did, since) => drillHealth(ctx.env, did, since, now),
    };
    for await (const row of examine(home, { rebuild, deep, url: daemon?.url ?? null, outside })) {
      rows.push(row);
      if (ctx.output === "text") await ctx.out.write(line(row));
      else if (ctx.output === "ndjson") await ctx.out.write(jsonLine(row));
    }
    if (ctx.output === "json") await ctx.out.write(jsonLine(rows));
    const count = (result: DoctorRow["result"]) => rows.filter((row) => row.result === result).length;
    const [failed, warned] = [count("fail"), count("warn")];
    const hint = "do what the rows above say";
    if (failed > 0) throw new SplError("checks_failed", `${counted(failed, "check")} failed`, { hint });
    if (warned > 0) throw new SplError("warned", counted(warned, "warning"), { hint });
  },
});

function line({ check, result, detail, fix }: DoctorRow): string {
  const mark = { pass: "PASS", warn: "WARN", fail: "FAIL" }[result];
  const mend = fix === null ? "" : `  → ${fix}`;
  return `${safeText(`${mark}  ${check.padEnd(11)}  ${detail}${mend}`)}\n`;
}

export default command;
if (import.meta.main) await runAlone(command);
