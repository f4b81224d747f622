import type { Pair } from "../../lib/api/wire.ts";
import { parseDuration } from "../../lib/base/duration.ts";
import { SplError } from "../../lib/base/errors.ts";
import { POLL_S } from "../../lib/folds/pairs.ts";
import { defineSpl, runAlone, targetArgs } from "../_kit.ts";
import { pairArg, printPair } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "federation set-poll-interval",
  summary: "Choose how often this instance pulls from a peer by itself",
  description: `Seconds, or a number with s, m, h or d: from ${POLL_S.least} seconds to 30 days.`,
  args: {
    ...pairArg,
    interval: { type: "positional", description: "such as 90, 5m or 1h" },
    ...targetArgs,
  },
  examples: ["spl federation set-poll-interval 3f2a91c0 5m"],
  run: async (ctx, { pair, interval, url }) => {
    const interval_s = seconds(interval);
    const changed = await connect(ctx, { url }).changePair(pair, { interval_s });
    await printPair(ctx, changed, said(changed));
  },
});

/** Only a polling pair is asked by the clock; the interval of others waits for them to become one. */
function said({ id, mode, interval_s }: Pair): string {
  if (mode === "polling") return `is asked every ${interval_s} s`;
  return `is ${mode}: ${interval_s} s counts once spl federation set-mode ${id.slice(0, 12)} polling is set`;
}

function seconds(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : (parseDuration(text) ?? Number.NaN) / 1000;
  if (value >= POLL_S.least && value <= POLL_S.most) return value;
  throw new SplError(
    "usage",
    `${JSON.stringify(text)} is no interval from ${POLL_S.least} seconds to 30 days`,
    {
      hint: "write it like 90, 5m or 1h",
    },
  );
}

export default command;
if (import.meta.main) await runAlone(command);
