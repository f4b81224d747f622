import { defaultActor } from "../_emit.ts";
import { requireDid, requireLabel } from "../_given.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "actor register",
  summary: "Register an actor, with a name to show for it",
  args: {
    actor: { type: "positional", description: "the actor's DID" },
    name: { type: "string", valueHint: "NAME", description: "what people call it" },
    ...targetArgs,
  },
  examples: [`spl actor register did:sync:user:alice --name "Alice"`],
  run: async (ctx, { actor, name, url }) => {
    requireDid(actor);
    if (name !== undefined) requireLabel("--name", name);
    const registration = { actor, by: defaultActor(ctx), ...(name === undefined ? {} : { name }) };
    const emitted = await connect(ctx, { url }).registerActor(registration);
    await printResult(ctx, emitted, () => `✓ ${actor} is registered (record ${emitted.id})\n`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
