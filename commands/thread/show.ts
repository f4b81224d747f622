import { type Fact, renderFacts } from "../../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "thread show",
  summary: "Show a thread's state, heads and forks",
  args: { thread: { type: "positional", description: "the thread's id" }, ...targetArgs },
  examples: ["spl thread show th_disk"],
  run: async (ctx, { thread, url }) => {
    const detail = await connect(ctx, { url }).thread(thread);
    const facts: Fact[] = [
      ["state", detail.state === "none" ? "no goal stated" : detail.state],
      ["goal", detail.goal ?? "-"],
      ["namespace", detail.namespace || "(none: shared with nobody)"],
      ["records", detail.records],
      ["clock", detail.clock],
      ["digest", detail.digest],
      ...detail.heads.map((id): Fact => ["head", id]),
      ...detail.forked.map(
        ({ actor, clock, ids }): Fact => ["fork:", `clock ${clock} by ${actor}: ${ids.join(" ")}`],
      ),
    ];
    await printResult(ctx, detail, () => `${detail.thread}\n${renderFacts(facts)}`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
