import { defineSpl, runAlone, targetArgs } from "../_kit.ts";
import { pairArg, printPair } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "federation pause",
  summary: "Exchange nothing with a peer until spl federation resume",
  args: { ...pairArg, ...targetArgs },
  examples: ["spl federation pause did:sync:instance:homelab-3f2a91c04b7d3f2a91c04b7d3f2a91c04b7d3f2a"],
  run: async (ctx, { pair, url }) =>
    printPair(ctx, await connect(ctx, { url }).changePair(pair, { state: "paused" }), "is paused"),
});

export default command;
if (import.meta.main) await runAlone(command);
