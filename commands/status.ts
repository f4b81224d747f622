import { isoTime } from "../lib/base/clock.ts";
import { type Fact, renderFacts } from "../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "./_kit.ts";
import { stateLine } from "./_state.ts";
import { connect } from "./_target.ts";

const command = defineSpl({
  name: "status",
  summary: "Show who an instance is, how much it holds, and that it is well",
  args: targetArgs,
  examples: ["spl status", "spl status -o json", "SPL_SERVE_URL=https://myteam.example.com spl status"],
  run: async (ctx, { url }) => {
    const status = await connect(ctx, { url }).status();
    const facts: Fact[] = [
      ["instance_did", status.instance_did],
      ["state", stateLine(status)],
      ["records", status.records],
      ["threads", status.threads],
      ["forks", status.forks],
      ["digest", status.digest],
      ["epoch", `${status.epoch} (${isoTime(status.epoch)})`],
      ["url", status.url],
      ["home", status.home],
      ["pid", status.pid],
      ["uptime", `${status.uptime_s} s`],
      ["version", status.version],
    ];
    const headline =
      status.state === "active" ? ctx.style.green("✓ healthy") : ctx.style.yellow("! read-only");
    await printResult(ctx, status, () => `${headline}\n${renderFacts(facts)}`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
