import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { approvalNote, pairArg, pairFacts } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "federation show",
  summary: "Show one pair, also one that was revoked",
  args: { ...pairArg, ...targetArgs },
  examples: ["spl federation show 3f2a91c0", "spl federation show 3f2a91c0 -o json"],
  run: async (ctx, { pair: name, url }) => {
    const pair = await connect(ctx, { url }).pair(name);
    await printResult(ctx, pair, () => pairFacts(pair));
    const note = approvalNote(pair);
    if (ctx.output === "text" && note !== null) await ctx.err.line(note);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
