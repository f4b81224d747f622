import { defineSpl, runAlone, targetArgs } from "../_kit.ts";
import { pairArg, printPair } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "federation refresh",
  summary: "Find out where a peer lives now",
  description:
    "Asks the directory and what the peer has told; where both fail, spl federation pair URL tells the new address.",
  args: { ...pairArg, ...targetArgs },
  examples: ["spl federation refresh did:sync:instance:homelab-3f2a91c04b7d3f2a91c04b7d3f2a91c04b7d3f2a"],
  run: async (ctx, { pair, url }) =>
    printPair(ctx, await connect(ctx, { url }).operatePair(pair, "refresh"), "answers"),
});

export default command;
if (import.meta.main) await runAlone(command);
