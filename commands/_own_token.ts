import type { Token } from "../lib/api/wire.ts";
import { SplError } from "../lib/base/errors.ts";
import { savedToken } from "../lib/client/credentials.ts";
import type { InstanceClient } from "../lib/client/instance_client.ts";
import { tokenHash, tokenId } from "../lib/instance/tokens.ts";
import type { Context } from "./_kit.ts";

/** The token in use. @throws SplError usage where none is */
export async function ownToken(client: InstanceClient): Promise<Token> {
  if (client.target.socket === null) return client.ownToken();
  throw new SplError("usage", "ID is missing: the local daemon is reached without a token", {
    hint: "spl token list shows all",
  });
}

/** Says that what was saved is not what commands will send. */
export async function tellShadowed(ctx: Context): Promise<void> {
  if (ctx.env.SPL_TOKEN && ctx.output === "text")
    await ctx.err.line("SPL_TOKEN is set and comes before what is saved");
}

/** Whether the token with this id is the one that is saved for the client's address. */
export function isSaved(ctx: Context, { target }: InstanceClient, id: string): boolean {
  const saved = target.socket === null ? savedToken(ctx.env, target.url) : null;
  return saved !== null && tokenId(tokenHash(saved)) === id;
}
