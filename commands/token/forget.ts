import { forgetToken, savedToken } from "../../lib/client/credentials.ts";
import { resolveAddress } from "../../lib/client/target.ts";
import { tokenHash, tokenId } from "../../lib/instance/tokens.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";

const command = defineSpl({
  name: "token forget",
  summary: "Remove the token that is kept for the address that commands talk to",
  description: "The instance is not asked: the token itself stays good until spl token revoke ends it.",
  args: targetArgs,
  examples: ["spl token forget", "spl token forget --url https://myteam.syncropel.com"],
  run: async (ctx, args) => {
    const { url } = resolveAddress(args, ctx.env);
    const token = savedToken(ctx.env, url);
    const id = token === null ? null : tokenId(tokenHash(token));
    const forgotten = forgetToken(ctx.env, url);
    await printResult(ctx, { url, forgotten, id }, () =>
      forgotten ? `✓ token for ${url} forgotten\n` : `no token is saved for ${url}\n`,
    );
    if (id !== null && ctx.output === "text")
      await ctx.err.line(
        `it is still good; whoever may manage tokens there ends it with spl token revoke ${id}`,
      );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
