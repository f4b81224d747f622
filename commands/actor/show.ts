import { safeText } from "../../lib/base/safe_text.ts";
import { counted } from "../../lib/base/text.ts";
import { type Fact, renderFacts } from "../../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "actor show",
  summary: "Show what an actor wrote, who signed it, and how far it can be relied on",
  args: { actor: { type: "positional", description: "the actor's DID" }, ...targetArgs },
  examples: ["spl actor show did:sync:user:alice"],
  run: async (ctx, { actor, url }) => {
    const detail = await connect(ctx, { url }).actor(actor);
    const { first_clock: first, last_clock: last } = detail;
    const facts: Fact[] = [
      ["name", detail.name ?? "-"],
      ["registered", detail.registered ? "yes" : "no"],
      ["records", detail.records],
      ["threads", detail.threads],
      ["clocks", first === null ? "-" : `${first} to ${last}`],
      ...detail.signers.map((did): Fact => ["signer", did]),
      ...detail.origins.map(
        ({ did, weight }): Fact => ["taken in from", `${did} (outcomes count ${weight})`],
      ),
      ...detail.trust.map(
        (each): Fact => [
          "trust",
          `${each.trust.toFixed(3)} in ${each.domain} (${counted(each.outcomes, "outcome")}, ${each.successes} good)`,
        ],
      ),
    ];
    await printResult(ctx, detail, () => `${safeText(detail.actor)}\n${renderFacts(facts)}`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
