import { credentialsPath, maskToken, pendingTrade } from "../../lib/client/credentials.ts";
import { findToken, resolveAddress } from "../../lib/client/target.ts";
import { type Fact, renderFacts } from "../../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";

const command = defineSpl({
  name: "token show-source",
  summary: "Show which instance commands talk to, with which token, and why; nothing is sent",
  description: "Of the token only kind and account are shown.",
  args: targetArgs,
  examples: ["spl token show-source", "spl token show-source --url https://myteam.syncropel.com -o json"],
  run: async (ctx, args) => {
    const address = resolveAddress(args, ctx.env);
    const found = findToken(address, ctx.env);
    const trade_pending = address.socket === null && pendingTrade(ctx.env, address.url) !== null;
    const path = credentialsPath(ctx.env);
    const source = {
      ...address,
      token: found && maskToken(found.token),
      token_from: found && (found.from === "SPL_TOKEN" ? "SPL_TOKEN" : path),
      trade_pending,
    };
    await printResult(ctx, source, () => {
      const none = address.socket === null ? "none" : "none: file permissions are the sign-in";
      const facts: Fact[] = [
        ["chosen by", address.from],
        ["reached by", address.socket ?? "TCP"],
        ["token", source.token ?? none],
        ...(source.token_from === null ? [] : [["token from", source.token_from] as const]),
      ];
      return `${address.url}\n${renderFacts(facts)}`;
    });
    if (ctx.output !== "text") return;
    if (trade_pending)
      await ctx.err.line("a trade has not been answered; the same spl token save finishes it");
    if (ctx.env.SPL_TOKEN && found?.from !== "SPL_TOKEN")
      await ctx.err.line(
        "SPL_TOKEN is set; it counts only with --url or SPL_SERVE_URL, and never for the socket",
      );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
