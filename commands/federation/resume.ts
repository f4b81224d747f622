import { defineSpl, runAlone, targetArgs } from "../_kit.ts";
import { pairArg, printPair } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "federation resume",
  summary: "Go on with a pair that was paused",
  args: { ...pairArg, ...targetArgs },
  examples: ["spl federation resume 3f2a91c0"],
  run: async (ctx, { pair, url }) =>
    printPair(ctx, await connect(ctx, { url }).changePair(pair, { state: "active" }), "is active"),
});

export default command;
if (import.meta.main) await runAlone(command);
