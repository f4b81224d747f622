import { InstanceClient } from "../lib/client/instance_client.ts";
import { requireConfidential, resolveTarget, resolveTargets } from "../lib/client/target.ts";
import type { Context } from "./_kit.ts";

/** The client of the instance that `--url`, the environment or the config name. */
export function connect(ctx: Context, args: { readonly url: string | undefined }): InstanceClient {
  return new InstanceClient(resolveTarget(args, ctx.env));
}

/** The clients of several instances at once. */
export function connectAll(ctx: Context, urls: readonly string[]): InstanceClient[] {
  return resolveTargets(urls, ctx.env).map((target) => new InstanceClient(target));
}

/** `connect` for a whole bundle. */
export async function connectForBundle(
  ctx: Context,
  args: { readonly url: string | undefined },
  verb: "exporting from" | "importing into",
): Promise<InstanceClient> {
  const client = connect(ctx, args);
  await announceBundle(ctx, client, verb);
  return client;
}

/** A bundle never goes in clear text, and the target is told before anything moves. */
export async function announceBundle(
  ctx: Context,
  { target }: InstanceClient,
  verb: "exporting from" | "importing into",
): Promise<void> {
  const { url, socket, from } = target;
  requireConfidential(target, "a bundle");
  if (ctx.output === "text") await ctx.err.line(`${verb} ${socket ?? url} (${from})`);
}
