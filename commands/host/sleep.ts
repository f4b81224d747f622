import { safeText } from "../../lib/base/safe_text.ts";
import { HostClient } from "../../lib/client/host_client.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "host sleep",
  summary: "Stop a hosted instance that nobody needs now; the next request wakes it",
  args: { label: { type: "positional", description: "its label" } },
  examples: ["spl host sleep myteam"],
  run: async (ctx, { label }) => {
    const instance = await new HostClient(ctx.env).operate(label, "sleep");
    await printResult(ctx, instance, () => `✓ ${safeText(instance.label)} is ${safeText(instance.state)}\n`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
