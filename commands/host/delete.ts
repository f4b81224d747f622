import { SplError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { HostClient } from "../../lib/client/host_client.ts";
import { confirm } from "../../lib/ui/prompt.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "host delete",
  summary: "Remove a hosted instance with all that it holds; its label is never given again",
  description:
    "Its owner gets no bundle this way: an owner who leaves does so on the service's /instances page.\nIn a script it needs --yes.",
  args: {
    label: { type: "positional", description: "its label" },
    yes: { type: "boolean", description: "do not ask" },
  },
  examples: ["spl host delete myteam", "spl host delete myteam --yes"],
  run: async (ctx, { label, yes }) => {
    const client = new HostClient(ctx.env);
    const { url } = await client.instance(label);
    const deed = `Remove ${safeText(url)} and everything in it`;
    if (!yes && !(await confirm(deed, ctx, "? This cannot be undone."))) {
      throw new SplError("usage", "nothing was removed", { hint: "answer y, or pass --yes" });
    }
    const removed = await client.remove(label);
    await printResult(ctx, removed, () => `✓ ${safeText(removed.label)} is ${safeText(removed.state)}\n`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
