import { SplError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { confirm } from "../../lib/ui/prompt.ts";
import { defineSpl, runAlone, targetArgs } from "../_kit.ts";
import { pairArg, printPair } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "federation revoke",
  summary: "End a pair for good",
  description: "What has been exchanged stays on both sides. To exchange again, pair anew.",
  args: { ...pairArg, yes: { type: "boolean", description: "do not ask" }, ...targetArgs },
  examples: ["spl federation revoke 3f2a91c0 --yes"],
  run: async (ctx, { pair: name, yes, url }) => {
    const client = connect(ctx, { url });
    if (ctx.interactive && !yes && !(await confirm(`End the pair "${safeText(name)}"`, ctx))) {
      throw new SplError("usage", "nothing was revoked", { hint: "answer y, or pass --yes" });
    }
    await printPair(ctx, await client.changePair(name, { state: "revoked" }), "is revoked");
  },
});

export default command;
if (import.meta.main) await runAlone(command);
