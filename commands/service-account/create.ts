import { SplError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { renderFacts } from "../../lib/ui/facts.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import {
  expiresArgs,
  expiryOf,
  listOf,
  present,
  rightsArgs,
  rightsFacts,
  tellShownOnce,
} from "../_rights.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "service-account create",
  summary: "Make an account for whoever calls over the network",
  description:
    "With --bootstrap: on the instance's own machine its first account, with all rights, once and only while it has\nnone; from a signed-in device another one, with that device's rights at most.",
  args: {
    name: {
      type: "string",
      valueHint: "NAME",
      description: "what it is called (with --bootstrap else operator)",
    },
    bootstrap: {
      type: "boolean",
      description: "make the first account, or another one from a signed-in device",
    },
    withToken: { type: "boolean", description: "mint its first token, which is shown this once" },
    ...rightsArgs,
    ...expiresArgs,
    ...targetArgs,
  },
  examples: [
    "spl service-account create --bootstrap --with-token",
    "spl service-account create --name ci --scopes records:write --with-token --expires 90d",
    "spl service-account create --name backup --scopes admin --description 'nightly export'",
  ],
  run: async (ctx, { name, bootstrap, withToken, scopes, actors, description, expires, url }) => {
    const missing = bootstrap
      ? null
      : name === undefined
        ? "--name NAME"
        : scopes === undefined
          ? "--scopes A,B"
          : null;
    if (missing !== null) {
      throw new SplError("usage", `${missing} is missing`, {
        hint: "only --bootstrap can do without; see 'spl service-account create --help'",
      });
    }
    if (expires !== undefined && !withToken) {
      throw new SplError("usage", "--expires is for the token, and none is asked for", {
        hint: "add --with-token",
      });
    }
    const created = await connect(ctx, { url }).createServiceAccount(
      present({
        name,
        scopes: listOf("--scopes", scopes),
        actors: listOf("--actors", actors),
        description,
        bootstrap: bootstrap || undefined,
        with_token: withToken || undefined,
        expires_at: expiryOf(ctx, expires),
      }),
    );
    await printResult(ctx, created, () => {
      const { token } = created;
      const facts = renderFacts([
        ...rightsFacts(created),
        ...(token === null ? [] : [["token", token] as const]),
      ]);
      return `✓ account ${safeText(created.name)} created\n${facts}`;
    });
    if (created.token !== null) await tellShownOnce(ctx, "spl token save - keeps it where it is used");
  },
});

export default command;
if (import.meta.main) await runAlone(command);
