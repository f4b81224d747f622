import { defineSpl, runAlone, targetArgs } from "../_kit.ts";
import { pairArg, printPair } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "federation approve",
  summary: "Approve an instance that asks to be paired",
  description:
    "Both sides then read each other's threads of the namespace default, and those that spl consent grant adds. The\nother side is told, or learns of it when it asks next.",
  args: { ...pairArg, ...targetArgs },
  examples: ["spl federation approve 3f2a91c04b7d"],
  run: async (ctx, { pair, url }) =>
    printPair(ctx, await connect(ctx, { url }).operatePair(pair, "approve"), "is active"),
});

export default command;
if (import.meta.main) await runAlone(command);
