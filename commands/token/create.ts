import type { MintedToken } from "../../lib/api/wire.ts";
import { SplError } from "../../lib/base/errors.ts";
import { renderFacts } from "../../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { expiresArgs, expiryOf, listOf, present, rightsArgs, tellShownOnce, tokenFacts } from "../_rights.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "token create",
  summary: "Mint a token for an account; it is shown this once",
  description:
    "Scopes and actors belong to the account: named here, they make one that does not exist yet. A bootstrap token\nlives one hour and works once: spl token save trades it for a lasting one with all rights.",
  args: {
    account: { type: "positional", required: false, description: "whose token it is; none with --bootstrap" },
    bootstrap: { type: "boolean", description: "mint a bootstrap token; those before it are void" },
    ...rightsArgs,
    ...expiresArgs,
    ...targetArgs,
  },
  examples: [
    "spl token create ci --scopes records:read,records:write --expires 90d",
    "spl token create ci --description 'the new runner' -o json",
    "spl token create --bootstrap",
  ],
  run: async (ctx, { account, bootstrap, scopes, actors, description, expires, url }) => {
    if (!bootstrap && account === undefined) {
      throw new SplError("usage", "ACCOUNT is missing", { hint: "see 'spl token create --help'" });
    }
    const given = { account, scopes, actors, description, expires };
    const surplus = bootstrap ? Object.keys(present(given))[0] : undefined;
    if (surplus !== undefined) {
      const name = surplus === "account" ? "ACCOUNT" : `--${surplus}`;
      throw new SplError("usage", `--bootstrap does not go with ${name}`, { hint: "leave out one of them" });
    }
    const wanted = present({
      scopes: listOf("--scopes", scopes),
      actors: listOf("--actors", actors),
      description,
      expires_at: expiryOf(ctx, expires),
    });
    const client = connect(ctx, { url });
    const minted = bootstrap
      ? await client.mintBootstrap()
      : await client.mintToken({ account: account!, ...wanted });
    await printResult(ctx, minted, () => describe(minted));
    await tellShownOnce(ctx, "spl token save - keeps it where it is used");
  },
});

function describe(minted: MintedToken): string {
  return `✓ token ${minted.id} minted\n${renderFacts([...tokenFacts(minted), ["token", minted.token]])}`;
}

export default command;
if (import.meta.main) await runAlone(command);
