import { SplError } from "../../lib/base/errors.ts";
import { defineSpl, runAlone, targetArgs } from "../_kit.ts";
import { pairArg, printPair } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const MODES = ["polling", "continuous", "on-demand"] as const;

const command = defineSpl({
  name: "federation set-mode",
  summary: "Choose when this instance pulls from a peer",
  description:
    "polling: by the clock (spl federation set-poll-interval). continuous: as it happens, over a connection that is kept\nopen. on-demand: by spl sync only.",
  args: {
    ...pairArg,
    mode: { type: "positional", description: MODES.join("|") },
    ...targetArgs,
  },
  examples: ["spl federation set-mode 3f2a91c0 continuous"],
  run: async (ctx, { pair, mode: name, url }) => {
    const mode = MODES.find((each) => each === name);
    if (!mode)
      throw new SplError("usage", `there is no mode ${name}`, { hint: `choose one of ${MODES.join(" ")}` });
    await printPair(ctx, await connect(ctx, { url }).changePair(pair, { mode }), `is ${mode}`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
