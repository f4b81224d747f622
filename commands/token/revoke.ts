import { renderFacts } from "../../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { isSaved } from "../_own_token.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "token revoke",
  summary: "End a token: it is void at once, and what is open in its name ends",
  args: {
    id: { type: "positional", description: "the token's id, as spl token list shows it" },
    ...targetArgs,
  },
  examples: ["spl token revoke tok_0123456789ab"],
  run: async (ctx, { id, url }) => {
    const client = connect(ctx, { url });
    const token = await client.revokeToken(id);
    await printResult(
      ctx,
      token,
      () => `✓ token ${token.id} is revoked\n${renderFacts([["account", token.account]])}`,
    );
    if (isSaved(ctx, client, id) && ctx.output === "text")
      await ctx.err.line("it is the one that is saved here; spl token forget removes it");
  },
});

export default command;
if (import.meta.main) await runAlone(command);
