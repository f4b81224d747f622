import { setTimeout as pause } from "node:timers/promises";
import type { Pair } from "../../lib/api/wire.ts";
import { parseDuration } from "../../lib/base/duration.ts";
import { SplError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import type { InstanceClient } from "../../lib/client/instance_client.ts";
import { type Context, defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { approvalNote, pairFacts } from "../_pair_facts.ts";
import { connect } from "../_target.ts";

const POLL_MS = 1000;

const command = defineSpl({
  name: "federation pair",
  summary: "Ask the instance at a URL to be paired with this one",
  description:
    "The other side's operator approves with spl federation approve, or asks this instance in turn. For a peer that is\npaired already, this tells its new address.",
  args: {
    peer: { type: "positional", description: "URL of the other instance" },
    wait: { type: "boolean", description: "wait until it is approved" },
    timeout: {
      type: "string",
      default: "10m",
      valueHint: "DURATION",
      description: "how long to wait at most",
    },
    ...targetArgs,
  },
  examples: [
    "spl federation pair https://homelab.example:9100",
    "spl federation pair https://homelab.example:9100 --wait",
  ],
  run: async (ctx, { peer, wait, timeout, url }) => {
    const ms = parseDuration(timeout);
    if (ms === null) {
      throw new SplError("usage", `--timeout ${JSON.stringify(timeout)} is no duration`, {
        hint: "write it like --timeout 10m",
      });
    }
    const client = connect(ctx, { url });
    const asked = await client.requestPair(peer);
    const pair = wait ? await approved(ctx, client, asked, ms) : asked;
    const how = pair.approval === null ? `Paired with ${safeText(pair.peer_did)}` : "Asked to be paired";
    await printResult(ctx, pair, () => `✓ ${how}\n${pairFacts(pair)}`);
    const note = approvalNote(pair);
    if (ctx.output === "text" && note !== null) await ctx.err.line(note);
  },
});

/** @throws SplError pair_unknown when it was rejected, conflict when nobody decides in time */
async function approved(ctx: Context, client: InstanceClient, asked: Pair, ms: number): Promise<Pair> {
  const deadline = ctx.clock() + ms;
  for (let pair = asked; ; ) {
    if (pair.approval === null) return pair;
    const left = Math.ceil((deadline - ctx.clock()) / 1000);
    if (left <= 0) {
      throw new SplError("conflict", `${pair.peer_did} has not approved the pair yet; it still can`, {
        hint: "spl federation list shows when it does",
      });
    }
    ctx.progress.update(`waiting to be approved there, ${left} s left; Ctrl-C leaves the request as it is`);
    await pause(Math.min(POLL_MS, left * 1000), undefined, { signal: ctx.signal });
    pair = await client.operatePair(pair.id, "follow").catch((error) => {
      // Somebody is still to decide, whether or not the other side can be reached right now.
      if (error instanceof SplError && error.code === "peer_unreachable") return pair;
      throw error;
    });
  }
}

export default command;
if (import.meta.main) await runAlone(command);
