import { safeText } from "../../lib/base/safe_text.ts";
import { HostClient } from "../../lib/client/host_client.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "host wake",
  summary: "Start a hosted instance that sleeps",
  args: { label: { type: "positional", description: "its label" } },
  examples: ["spl host wake myteam"],
  run: async (ctx, { label }) => {
    const instance = await new HostClient(ctx.env).operate(label, "wake");
    await printResult(ctx, instance, () => `✓ ${safeText(instance.label)} is ${safeText(instance.state)}\n`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
