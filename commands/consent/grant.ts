import { SplError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { isDid } from "../../lib/record/shape.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "consent grant",
  summary: "Share a namespace with a pair",
  description:
    "Its threads then cross to that pair and are accepted from it; the namespace default does so by the pair's approval.\nA thread's namespace is what its first record names; one that was opened in several is shared with those only that may\nhave all of them.",
  args: {
    from: { type: "string", required: true, valueHint: "NAMESPACE", description: "whose threads may cross" },
    to: { type: "string", required: true, valueHint: "DID|*", description: "the peer; * for every pair" },
    ...targetArgs,
  },
  examples: [
    "spl consent grant --from work --to did:sync:instance:homelab-3f2a91c04b7d3f2a91c04b7d3f2a91c04b7d3f2a",
    "spl consent grant --from public --to '*'",
  ],
  run: async (ctx, { from, to, url }) => {
    if (to !== "*" && !isDid(to)) {
      throw new SplError("usage", `--to ${JSON.stringify(to)} is no peer`, {
        hint: "write its DID, as spl federation list shows it, or * for every pair",
      });
    }
    const grant = await connect(ctx, { url }).grantConsent({ from, to });
    await printResult(
      ctx,
      grant,
      () =>
        `✓ ${safeText(from)} is shared with ${to === "*" ? "every pair" : safeText(to)} (grant ${grant.id})\n`,
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
