import { type Fact, renderFacts } from "../../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { ownToken } from "../_own_token.ts";
import { tokenFacts } from "../_rights.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "token info",
  summary: "Show what a token may do, until when, and when it was used last",
  args: {
    id: { type: "positional", required: false, description: "the token's id (else the one in use)" },
    ...targetArgs,
  },
  examples: ["spl token info", "spl token info tok_0123456789ab -o json"],
  run: async (ctx, { id, url }) => {
    const client = connect(ctx, { url });
    const token = id === undefined ? await ownToken(client) : await client.token(id);
    const facts: Fact[] = [
      ["state", token.state],
      ["kind", token.kind],
      ...tokenFacts(token),
      ["created", token.created_at],
      ["last used", token.last_used_at ?? "never"],
    ];
    await printResult(ctx, token, () => `${token.id}\n${renderFacts(facts)}`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
