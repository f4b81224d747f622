import { saveToken } from "../../lib/client/credentials.ts";
import { renderFacts } from "../../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { isSaved, ownToken, tellShadowed } from "../_own_token.ts";
import { tellShownOnce, tokenFacts } from "../_rights.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "token rotate",
  summary: "Replace a token by a new one; the old one is void at once",
  description:
    "Account, scopes, expiry and description stay. If it is the token that is saved here for this address, the new one\nis saved in its place and not shown; any other is shown this once.",
  args: {
    id: { type: "positional", required: false, description: "the token's id (else the one in use)" },
    ...targetArgs,
  },
  examples: ["spl token rotate", "spl token rotate tok_0123456789ab"],
  run: async (ctx, { id, url }) => {
    const client = connect(ctx, { url });
    const old = id ?? (await ownToken(client)).id;
    const saved = isSaved(ctx, client, old);
    const { token, ...minted } = await client.rotateToken(old);
    let failure: unknown;
    try {
      if (saved) saveToken(ctx.env, client.target.url, token);
    } catch (error) {
      // The old one is void already: not to show the new one would lock its owner out.
      failure = error;
    }
    const kept = saved && failure === undefined;
    await printResult(ctx, kept ? minted : { ...minted, token }, () => {
      const facts = renderFacts([...tokenFacts(minted), ...(kept ? [] : [["token", token] as const])]);
      return `✓ token ${old} is ${minted.id} now${kept ? `, saved for ${client.target.url}` : ""}\n${facts}`;
    });
    if (kept) await tellShadowed(ctx);
    else await tellShownOnce(ctx, "spl token save - keeps it where it is used");
    if (failure !== undefined) throw failure;
  },
});

export default command;
if (import.meta.main) await runAlone(command);
