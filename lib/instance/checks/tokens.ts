import { counted } from "../../base/text.ts";
import { listTokens } from "../tokens.ts";
import { type InstanceCheck, pass, warn } from "./result.ts";

const SOON_MS = 7 * 24 * 60 * 60 * 1000;

/** Tokens that clients sign in with and that end soon. A bootstrap token is meant to. */
export const tokens: InstanceCheck = {
  name: "tokens",
  async run(instance) {
    const now = instance.ports.clock();
    const active = (await listTokens(instance)).filter(
      ({ kind, state }) => kind === "bearer" && state === "active",
    );
    const [first, ...others] = active
      .filter(({ expires_at }) => expires_at !== null && Date.parse(expires_at) - now < SOON_MS)
      .sort((a, b) => (a.expires_at! < b.expires_at! ? -1 : 1));
    if (!first)
      return pass(
        active.length === 0 ? "none" : `${counted(active.length, "token")}, none ends within 7 days`,
      );
    const { id, account, expires_at } = first;
    return warn(
      `${counted(others.length + 1, "token")} ending within 7 days, first ${id} of ${account} at ${expires_at}`,
      `spl token create ${account} --expires 90d, and when it is in use, spl token revoke ${id}`,
    );
  },
};
