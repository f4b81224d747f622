import { UNKNOWN_TRUST } from "../lib/folds/trust.ts";
import { requireDid } from "./_given.ts";
import { defineSpl, printList, runAlone, targetArgs } from "./_kit.ts";
import { connect } from "./_target.ts";

const start = UNKNOWN_TRUST.toFixed(3);

const command = defineSpl({
  name: "trust",
  summary: "Show how far actors can be relied on, from the outcomes of their work",
  description: `An outcome is a KNOW record with the time in "at", which spl know adds:
  spl know --body '{"topic":"outcome","subject":"did:sync:agent:deployer","domain":"deploy","success":true}'
TRUST is the lower bound of the Wilson interval at 95 %, so that few outcomes prove little. It starts at ${start},
which is 7 successes in 10, and each outcome's weight halves every 30 days. What an actor says of itself does not
count, nor what other instances say, unless the actor was taken in from them (spl actor import).`,
  args: {
    actor: { type: "positional", required: false, description: "the actor's DID (else all)" },
    domain: { type: "string", valueHint: "DOMAIN", description: "only this domain" },
    ...targetArgs,
  },
  examples: ["spl trust", "spl trust did:sync:agent:deployer --domain deploy"],
  run: async (ctx, { actor, domain, url }) => {
    if (actor !== undefined) requireDid(actor);
    await printList(
      ctx,
      await connect(ctx, { url }).trust({ actor, domain }),
      [
        { title: "ACTOR", value: (row) => row.actor, shrink: true },
        { title: "DOMAIN", value: (row) => row.domain, shrink: true },
        { title: "TRUST", value: (row) => row.trust.toFixed(3), align: "right" },
        { title: "OUTCOMES", value: (row) => row.outcomes, align: "right" },
        { title: "SUCCESSES", value: (row) => row.successes, align: "right" },
        { title: "WEIGHT", value: (row) => row.weight.toFixed(2), align: "right" },
      ],
      `no outcomes yet; without any, trust is ${start}`,
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
