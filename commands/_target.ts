import { InstanceClient } from "../lib/client/instance_client.ts";
import { requireConfidential, resolveTarget } from "../lib/client/target.ts";
import type { Context } from "./_kit.ts";

/** The client of the instance that `--url`, the environment or the config name. */
export function connect(ctx: Context, args: { readonly url: string | undefined }): InstanceClient {
  return new InstanceClient(resolveTarget(args, ctx.env));
}

/** The same for a whole bundle: never in clear text, and the target is told before anything moves. */
export async function connectForBundle(
  ctx: Context,
  args: { readonly url: string | undefined },
  verb: "exporting from" | "importing into",
): Promise<InstanceClient> {
  const client = connect(ctx, args);
  const { url, socket, from } = client.target;
  requireConfidential(client.target, "a bundle");
  if (ctx.output === "text") await ctx.err.line(`${verb} ${socket ?? url} (${from})`);
  return client;
}
