import { SplError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { renderFacts } from "../../lib/ui/facts.ts";
import { confirm } from "../../lib/ui/prompt.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "device revoke",
  summary: "End a device: its token, what it has open, and its code if that still waits",
  description:
    "A record says so, so that it holds wherever the instance moves. Pair it anew to let it in again.",
  args: {
    name: { type: "positional", description: "what spl device list calls it" },
    yes: { type: "boolean", description: "do not ask" },
    ...targetArgs,
  },
  examples: ["spl device revoke iPhone", "spl device revoke browser-office --yes"],
  run: async (ctx, { name, yes, url }) => {
    const client = connect(ctx, { url });
    if (ctx.interactive && !yes && !(await confirm(`End the device "${safeText(name)}"`, ctx))) {
      throw new SplError("usage", "nothing was revoked", { hint: "answer y, or pass --yes" });
    }
    const device = await client.revokeDevice(name);
    await printResult(
      ctx,
      device,
      () => `✓ ${safeText(device.device)} is revoked\n${renderFacts([["account", device.account ?? "-"]])}`,
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
