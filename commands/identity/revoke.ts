import { SplError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { counted } from "../../lib/base/text.ts";
import { type Fact, renderFacts } from "../../lib/ui/facts.ts";
import { confirm } from "../../lib/ui/prompt.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "identity revoke",
  summary: "End an instance's identity, for ever: for when its key is in the wrong hands",
  description:
    "A last statement says so, which nothing outranks: every home of the identity becomes read-only, and peers end\ntheir pairs with it. Records stay and can be exported. In a script it needs --yes.",
  args: {
    yes: { type: "boolean", description: "do not ask" },
    ...targetArgs,
  },
  examples: ["spl identity revoke", "spl identity revoke --yes"],
  run: async (ctx, { yes, url }) => {
    const client = connect(ctx, { url });
    const { did } = await client.identity();
    if (!yes && !(await confirm(`End ${safeText(did)} for ever`, ctx, "? This cannot be undone."))) {
      throw new SplError("usage", "nothing was revoked", { hint: "answer y, or pass --yes" });
    }
    const revoked = await client.revokeIdentity(did);
    const { published, told, pairs } = revoked;
    const facts: Fact[] = [
      [
        "directory",
        published === null ? "none" : published ? "has it" : "not reached; it is tried again every minute",
      ],
      ["peers", `${told} of ${counted(pairs, "pair")} told`],
    ];
    await printResult(ctx, revoked, () => `✓ ${safeText(did)} is revoked\n${renderFacts(facts)}`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
