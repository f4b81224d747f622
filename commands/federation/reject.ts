import { safeText } from "../../lib/base/safe_text.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { pairArg } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "federation reject",
  summary: "Forget an instance that asks to be paired",
  args: { ...pairArg, ...targetArgs },
  examples: ["spl federation reject 3f2a91c04b7d"],
  run: async (ctx, { pair: name, url }) => {
    const pair = await connect(ctx, { url }).operatePair(name, "reject");
    await printResult(ctx, pair, () => `✓ the request of ${safeText(pair.peer_did)} was rejected\n`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
