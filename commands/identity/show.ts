import { type Fact, renderFacts } from "../../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { stateLine } from "../_state.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "identity show",
  summary: "Show an instance's DID, public key, epoch and state",
  description: "As JSON also the DID document.",
  args: targetArgs,
  examples: ["spl identity show", "spl identity show -o json"],
  run: async (ctx, { url }) => {
    const identity = await connect(ctx, { url }).identity();
    const facts: Fact[] = [
      ["public key", identity.public_key],
      ["epoch", identity.epoch],
      ["state", stateLine(identity)],
    ];
    await printResult(ctx, identity, () => `${identity.did}\n${renderFacts(facts)}`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
