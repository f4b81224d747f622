import { HostClient } from "../../lib/client/host_client.ts";
import { renderFacts } from "../../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "host show",
  summary: "Show a hosted instance and how it came to be",
  args: {
    label: { type: "positional", description: "its label, or its id where another has the label now" },
  },
  examples: ["spl host show myteam", "spl host show 0f1e2d3c4b5a6978"],
  run: async (ctx, { label }) => {
    const { phases, failure, ...facts } = await new HostClient(ctx.env).instance(label);
    await printResult(ctx, { ...facts, phases, failure }, () =>
      renderFacts([
        ...Object.entries(facts).map(([name, value]): [string, string] => [name, `${value ?? "-"}`]),
        ...phases.map(({ phase, state, took_ms }): [string, string] => [
          phase,
          took_ms === null ? state : `${state} in ${took_ms} ms`,
        ]),
        ...(failure === null ? [] : [["failure", `${failure.code}: ${failure.message}`] as [string, string]]),
      ]),
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
