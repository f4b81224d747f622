import { safeText } from "../../lib/base/safe_text.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "consent revoke",
  summary: "Take a grant back: from now on nothing of that namespace crosses by it",
  description: "What has crossed already stays where it is.",
  args: {
    grant: { type: "positional", description: "its ID or the beginning of it" },
    ...targetArgs,
  },
  examples: ["spl consent revoke 3f2a91c0"],
  run: async (ctx, { grant: id, url }) => {
    const grant = await connect(ctx, { url }).revokeConsent(id);
    await printResult(
      ctx,
      grant,
      () => `✓ ${safeText(grant.from)} is no longer shared with ${safeText(grant.to)}\n`,
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
