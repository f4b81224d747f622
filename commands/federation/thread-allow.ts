import { SplError } from "../../lib/base/errors.ts";
import { isReserved } from "../../lib/folds/reserved.ts";
import { requireThread } from "../_given.ts";
import { defineSpl, runAlone, targetArgs } from "../_kit.ts";
import { pairArg, printPair } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "federation thread-allow",
  summary: "Narrow what is shared with a pair to these threads, or to all again",
  description:
    "It narrows what consent allows and never widens it; the list takes the place of an earlier one.",
  args: {
    ...pairArg,
    threads: { type: "positional", required: false, valueHint: "THREAD…", description: "thread ids" },
    all: { type: "boolean", description: "share all that consent allows" },
    ...targetArgs,
  },
  examples: [
    "spl federation thread-allow 3f2a91c0 th_notes th_plans",
    "spl federation thread-allow 3f2a91c0 --all",
  ],
  run: async (ctx, { pair, threads: list, all, url }) => {
    const threads = list === undefined ? null : list.split(" ");
    if ((threads === null) !== all) {
      throw new SplError("usage", all ? "--all goes without threads" : "which threads is missing", {
        hint: "name threads, or pass --all",
      });
    }
    threads?.forEach(requireThread);
    const reserved = threads?.find(isReserved);
    if (reserved !== undefined) {
      throw new SplError("usage", `${reserved} is reserved: it never crosses to a pair`, {
        hint: "leave it out",
      });
    }
    await printPair(ctx, await connect(ctx, { url }).changePair(pair, { threads }), "is changed");
  },
});

export default command;
if (import.meta.main) await runAlone(command);
