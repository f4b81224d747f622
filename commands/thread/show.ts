import { safeText } from "../../lib/ui/safe_text.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "thread show",
  summary: "Show a thread's state, heads and forks",
  args: { thread: { type: "positional", description: "the thread's id" }, ...targetArgs },
  examples: ["spl thread show th_disk"],
  run: async (ctx, { thread, url }) => {
    const detail = await connect(ctx, { url }).thread(thread);
    const rows: [string, string | number][] = [
      ["state:", detail.state === "none" ? "no goal stated" : detail.state],
      ["goal:", detail.goal ?? "-"],
      ["namespace:", detail.namespace],
      ["records:", detail.records],
      ["clock:", detail.clock],
      ["digest:", detail.digest],
      ...detail.heads.map((id): [string, string] => ["head:", id]),
      ...detail.forked.map(({ actor, clock, ids }): [string, string] => [
        "fork:",
        `clock ${clock} by ${actor}: ${ids.join(" ")}`,
      ]),
    ];
    await printResult(ctx, detail, () =>
      [
        `${detail.thread}\n`,
        ...rows.map(([name, value]) => `  ${name.padEnd(10)} ${safeText(String(value))}\n`),
      ].join(""),
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
