import type { Pair } from "../lib/api/wire.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { renderFacts } from "../lib/ui/facts.ts";
import { type Context, printResult } from "./_kit.ts";

/** Spread into the arguments of every command about one pair. */
export const pairArg = {
  pair: { type: "positional", description: "its ID, the beginning of it, or the peer's DID" },
} as const;

/** Prints a pair as the result of `did`, such as `is paused`. */
export function printPair(ctx: Context, pair: Pair, did: string): Promise<void> {
  return printResult(
    ctx,
    pair,
    () => `✓ the pair with ${safeText(pair.peer_did)} ${did}\n${pairFacts(pair)}`,
  );
}

/** What to do about a pair that is not approved yet. */
export function approvalNote({ id, peer_did, approval }: Pair): string | null {
  if (approval === "here")
    return `spl federation approve ${id} lets it in; spl federation reject ${id} does not`;
  if (approval === "there")
    return `its operator approves with spl federation approve there (${safeText(peer_did)})`;
  return null;
}

/** A pair in full. */
export function pairFacts(pair: Pair): string {
  const { id, peer_did, url, state, mode, interval_s, threads, last_sync, problem } = pair;
  return renderFacts([
    ["id", id],
    ["peer", peer_did],
    ["url", url ?? "-"],
    ["state", state],
    ["mode", mode === "polling" ? `polling every ${interval_s} s` : mode],
    ["threads", threads === null ? "all that consent allows" : threads.join(" ") || "none"],
    ["last sync", last_sync ?? "never"],
    ...(problem === null ? [] : [["problem", problem] as const]),
  ]);
}
