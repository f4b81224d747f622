import { Ping } from "../lib/backup/ping.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { statusOfFailure } from "./_exit.ts";
import type { Context } from "./_kit.ts";

/** Spread into the arguments of every command that cron runs. */
export const pingArgs = {
  ping: { type: "string", valueHint: "URL", description: "GET URL/start before and URL/<exit status> after" },
} as const;

/**
 * Does the work and tells the watcher, if there is one, how it goes. That the watcher cannot be told is a line on
 * stderr and fails nothing.
 * @throws SplError usage for what is no URL; what the work throws
 */
export async function pinging<T>(
  ctx: Context,
  { ping }: { readonly ping: string | undefined },
  work: () => Promise<T>,
): Promise<T> {
  if (ping === undefined) return work();
  const watcher = new Ping(ping);
  const tell = async (what: "start" | number) => {
    const unheard = await watcher.send(what);
    if (unheard !== null) await ctx.err.line(safeText(unheard));
  };
  await tell("start");
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await tell(statusOfFailure(error, ctx));
    throw error;
  }
  await tell(0);
  return result;
}
