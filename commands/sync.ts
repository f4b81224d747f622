import type { SyncOutcome } from "../lib/api/wire.ts";
import { SplError } from "../lib/base/errors.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { counted } from "../lib/base/text.ts";
import { refusalText } from "../lib/federation/refusals.ts";
import { requireThread } from "./_given.ts";
import { defineSpl, printList, runAlone, targetArgs } from "./_kit.ts";
import { connect } from "./_target.ts";

const command = defineSpl({
  name: "sync",
  summary: "Pull what other instances share with this one, now",
  description:
    "Without arguments from every active pair; `sync THREAD from DID` pulls one thread of one peer. Records that do\nnot hold are refused by name, the rest is stored. Status 1 when a peer failed, 3 when none was reached.",
  args: {
    thread: { type: "positional", required: false, description: "pull this thread only" },
    from: { type: "positional", required: false, valueHint: "from", description: "the word from" },
    did: { type: "positional", required: false, description: "the peer's DID, or the pair's id" },
    ...targetArgs,
  },
  examples: ["spl sync", "spl sync th_disk from did:sync:instance:box-…", "spl sync -o json"],
  run: async (ctx, { thread, from, did, url }) => {
    const asked = readArguments(thread, from, did);
    const outcomes: SyncOutcome[] = [];
    const arriving = (async function* () {
      for await (const outcome of connect(ctx, { url }).sync(asked)) {
        outcomes.push(outcome);
        yield outcome;
      }
    })();
    if (ctx.output === "text") {
      // Why a single one failed is left to the error.
      let held = "";
      for await (const outcome of arriving) {
        await ctx.out.write(held + line(outcome));
        held = reason(outcome);
      }
      if (outcomes.length > 1) await ctx.out.write(held);
      if (outcomes.length === 0) {
        await ctx.err.line(
          "no active pairs: nothing to pull; spl federation pair URL asks for one, spl federation list shows all",
        );
      }
    } else {
      await printList(ctx, arriving, [], "");
    }
    const failures = outcomes.flatMap(({ failure }) => failure ?? []);
    if (failures.length > 0) throw failed(failures, outcomes.length);
  },
});

function readArguments(
  thread: string | undefined,
  from: string | undefined,
  did: string | undefined,
): { thread?: string; from?: string } {
  if (thread === undefined) return {};
  if (from === "from" && did !== undefined) {
    requireThread(thread);
    return { thread, from: did };
  }
  throw new SplError("usage", "sync takes nothing, or a thread and where it comes from", {
    hint: "write it like spl sync THREAD from DID",
  });
}

function line(outcome: SyncOutcome): string {
  const { peer_did, pulled, deduplicated, refused, refused_ids, bytes, rounds, took_ms, failure } = outcome;
  const known = deduplicated > 0 ? `, ${deduplicated} known before` : "";
  const cost = `${bytes} bytes in ${counted(rounds, "round")}, ${took_ms} ms`;
  const head = `${failure ? "✗" : "✓"} ${peer_did}: pulled ${counted(pulled, "record")}${known} (${cost})\n`;
  return head + indented(refusalText(refused, refused_ids));
}

function reason({ failure }: SyncOutcome): string {
  return indented(failure && [failure.message, failure.hint ?? []].flat().join("; "));
}

function indented(text: string | null): string {
  return text === null ? "" : `  ${safeText(text)}\n`;
}

function failed(failures: NonNullable<SyncOutcome["failure"]>[], all: number): SplError {
  const [first] = failures;
  const unreached = failures.filter(({ code }) => code === "peer_unreachable").length;
  const code = unreached === all ? "peer_unreachable" : "sync_failed";
  const message = all === 1 ? first!.message : `${failures.length} of ${all} pairs failed`;
  return new SplError(code, message, {
    hint: (all === 1 && first!.hint) || "spl federation show tells what is wrong with each",
    detail: { failed: failures.length, pairs: all },
  });
}

export default command;
if (import.meta.main) await runAlone(command);
