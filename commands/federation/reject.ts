import { defineSpl, runAlone, targetArgs } from "../_kit.ts";
import { pairArg, printPair } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "federation reject",
  summary: "Forget an instance that asks to be paired",
  args: { ...pairArg, ...targetArgs },
  examples: ["spl federation reject 3f2a91c04b7d"],
  run: async (ctx, { pair, url }) =>
    printPair(ctx, await connect(ctx, { url }).operatePair(pair, "reject"), "was rejected"),
});

export default command;
if (import.meta.main) await runAlone(command);
