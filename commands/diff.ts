import { SplError } from "../lib/base/errors.ts";
import { diffInstances } from "../lib/federation/diff.ts";
import { type Difference, type DiffSummary, diffBundles } from "../lib/instance/diff.ts";
import { decryptArgs, readBundleFile } from "./_bundle_file.ts";
import { type Context, defineSpl, jsonLine, runAlone } from "./_kit.ts";
import { connect, connectForBundle } from "./_target.ts";

const command = defineSpl({
  name: "diff",
  summary: "Compare two bundles, two instances, or one of each, record by record",
  description:
    "A and B are bundle files, which are verified, or URLs of instances. Status 0 when equal, 1 when not. Two instances\nare compared by reconciliation, so that only what differs travels.",
  args: {
    a: { type: "positional", description: "bundle file or URL" },
    b: { type: "positional", description: "bundle file or URL" },
    ...decryptArgs,
  },
  examples: ["spl diff old.tar.zst new.tar.zst", "spl diff migration.tar.zst http://localhost:9100"],
  run: async (ctx, { a, b, decryptKey }) => {
    let before = "[";
    const summary = await compare(ctx, a, b, decryptKey, async (difference) => {
      if (ctx.output === "text") return ctx.out.write(line(difference));
      if (ctx.output === "ndjson") return ctx.out.write(jsonLine(difference));
      await ctx.out.write((before === "[" ? '{"differences":[' : ",\n") + jsonLine(difference).trimEnd());
      before = ",";
    });
    if (ctx.output === "json") {
      await ctx.out.write(`${before === "[" ? '{"differences":[' : ""}],${jsonLine(summary).slice(1)}`);
    } else if (ctx.output === "text" && summary.equal) {
      await ctx.out.write(`✓ equal: ${summary.records_a} records on both sides\n`);
    }
    if (!summary.equal) throw differs(summary);
  },
});

type Report = (difference: Difference) => Promise<void>;

async function compare(
  ctx: Context,
  a: string,
  b: string,
  decryptKey: string | undefined,
  report: Report,
): Promise<DiffSummary> {
  if (isUrl(a) && isUrl(b)) {
    const diff = await diffInstances(connect(ctx, { url: a }), connect(ctx, { url: b }));
    if (diff !== null) {
      for (const difference of diff.differences) await report(difference);
      return diff.summary;
    }
  }
  return diffBundles(open(ctx, a, decryptKey), open(ctx, b, decryptKey), report);
}

function isUrl(place: string): boolean {
  return /^https?:\/\//.test(place);
}

async function* open(
  ctx: Context,
  place: string,
  decryptKey: string | undefined,
): AsyncGenerator<Uint8Array> {
  if (!isUrl(place)) return yield* readBundleFile(ctx, place, { decryptKey });
  const client = await connectForBundle(ctx, { url: place }, "exporting from");
  yield* (await client.exportBundle({ compression: "zst", identity: "none", carry_tokens: false })).chunks;
}

function line(difference: Difference): string {
  if (difference.kind === "manifest") {
    return `- ${difference.field} ${difference.a}\n+ ${difference.field} ${difference.b}\n`;
  }
  const mark = { only_a: "-", only_b: "+", envelope: "~" }[difference.kind];
  return `${mark} ${difference.thread} ${difference.clock} ${difference.actor} ${difference.id}\n`;
}

function differs({ only_a, only_b, envelopes }: DiffSummary): SplError {
  const message = `the two differ: ${only_a} records only in the first, ${only_b} only in the second, ${envelopes} signed otherwise`;
  return new SplError("differs", message, { detail: { only_a, only_b, envelopes } });
}

export default command;
if (import.meta.main) await runAlone(command);
