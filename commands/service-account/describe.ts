import { safeText } from "../../lib/base/safe_text.ts";
import { type Fact, renderFacts } from "../../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { rightsFacts } from "../_rights.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "service-account describe",
  summary: "Show an account and its tokens",
  args: { name: { type: "positional", description: "the account's name" }, ...targetArgs },
  examples: ["spl service-account describe ci", "spl service-account describe ci -o json"],
  run: async (ctx, { name, url }) => {
    const account = await connect(ctx, { url }).serviceAccount(name);
    const facts: Fact[] = [
      ["state", account.state],
      ["kind", account.kind],
      ...rightsFacts(account),
      ...(account.description === "" ? [] : [["description", account.description] as const]),
      ["created", account.created_at ?? "before it came here"],
      ...account.tokens.map(
        ({ id, state, expires_at, last_used_at }): Fact => [
          "token",
          `${id} ${state}, expires ${expires_at ?? "never"}, last used ${last_used_at ?? "never"}`,
        ],
      ),
    ];
    await printResult(ctx, account, () => `${safeText(account.name)}\n${renderFacts(facts)}`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
