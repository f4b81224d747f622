import { SplError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { renderFacts } from "../../lib/ui/facts.ts";
import { confirm } from "../../lib/ui/prompt.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { listOf, rightsFacts } from "../_rights.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "service-account revoke",
  summary: "Close an account with all its tokens, or take only some scopes from it",
  description:
    "It takes effect at once, also on what is open in its name. A closed account's name is not given again.",
  args: {
    name: { type: "positional", description: "the account's name" },
    scopes: { type: "string", valueHint: "A,B", description: "only take these from it" },
    yes: { type: "boolean", description: "do not ask" },
    ...targetArgs,
  },
  examples: ["spl service-account revoke ci", "spl service-account revoke ci --scopes records:write --yes"],
  run: async (ctx, { name, scopes: text, yes, url }) => {
    const scopes = listOf("--scopes", text) ?? null;
    const client = connect(ctx, { url });
    const deed =
      scopes === null
        ? `Close the account "${safeText(name)}" with all its tokens`
        : `Take ${safeText(scopes.join(" "))} from the account "${safeText(name)}"`;
    if (ctx.interactive && !yes && !(await confirm(deed, ctx))) {
      throw new SplError("usage", "nothing was revoked", { hint: "answer y, or pass --yes" });
    }
    const account = await client.revokeServiceAccount(name, scopes);
    await printResult(
      ctx,
      account,
      () =>
        `✓ account ${safeText(account.name)} ${scopes === null ? "is revoked" : "has less now"}\n${renderFacts(rightsFacts(account))}`,
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
