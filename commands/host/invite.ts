import { parseDuration } from "../../lib/base/duration.ts";
import { SplError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { HostClient } from "../../lib/client/host_client.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "host invite",
  summary: "Make an invitation for one instance, where sign-up is by invitation",
  args: { expires: { type: "string", valueHint: "DURATION", description: "how long it waits (else 7d)" } },
  examples: ["spl host invite", "spl host invite --expires 24h"],
  run: async (ctx, { expires }) => {
    const lifeMs = expires === undefined ? undefined : parseDuration(expires);
    if (lifeMs === null) {
      throw new SplError("usage", `--expires ${expires} is no duration`, { hint: "write it as 24h or 7d" });
    }
    const invited = await new HostClient(ctx.env).invite(lifeMs);
    await printResult(ctx, invited, () => `${safeText(invited.invitation)}\n`);
    if (ctx.output === "text") {
      await ctx.err.line(
        `good for one instance until ${safeText(invited.expires_at)}; it is shown this once`,
      );
      if (invited.signup === "open") await ctx.err.line("nobody needs one: sign-up is open here");
    }
  },
});

export default command;
if (import.meta.main) await runAlone(command);
