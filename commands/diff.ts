import { SplError } from "../lib/base/errors.ts";
import { counted } from "../lib/base/text.ts";
import type { InstanceClient } from "../lib/client/instance_client.ts";
import { type DiffSide, diffInstances } from "../lib/federation/diff.ts";
import { type Difference, type DiffSummary, diffBundles } from "../lib/instance/diff.ts";
import { decryptArgs, readBundleFile } from "./_bundle_file.ts";
import { type Context, defineSpl, jsonLine, runAlone } from "./_kit.ts";
import { announceBundle, connectAll } from "./_target.ts";

const command = defineSpl({
  name: "diff",
  summary: "Compare two bundles, two instances, or one of each, record by record",
  description:
    "A and B are bundle files, which are verified, or URLs of instances. Status 0 when equal, 1 when not. Two instances\nare compared by reconciliation, so that only what differs travels. Each gets the token saved for it; SPL_TOKEN\ngoes to one of two URLs only, the one that SPL_SERVE_URL names.",
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
      await ctx.out.write(`✓ equal: ${counted(summary.records_a, "record")} on both sides\n`);
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
  const urls = [a, b].filter(isUrl);
  const clients = new Map(connectAll(ctx, urls).map((client, i) => [urls[i], client]));
  const [first, second] = [clients.get(a), clients.get(b)];
  if (first && second) {
    const diff = await diffInstances(sideOf(first), sideOf(second));
    if (diff !== null) {
      for (const difference of diff.differences) await report(difference);
      return diff.summary;
    }
  }
  const open = (place: string) => {
    const client = clients.get(place);
    return client ? exported(ctx, client) : readBundleFile(ctx, place, { decryptKey });
  };
  return diffBundles(open(a), open(b), report);
}

function isUrl(place: string): boolean {
  return /^https?:\/\//.test(place);
}

function sideOf(client: InstanceClient): DiffSide {
  return {
    identity: () => named(client, client.identity()),
    status: () => named(client, client.status()),
    reconcile: (step) => named(client, client.reconcile(step)),
    record: (id) => named(client, client.record(id)),
  };
}

async function* exported(ctx: Context, client: InstanceClient): AsyncGenerator<Uint8Array> {
  await announceBundle(ctx, client, "exporting from");
  const query = { compression: "zst", identity: "none", carry_tokens: false } as const;
  yield* (await named(client, client.exportBundle(query))).chunks;
}

/** What an instance answers; a refusal says which of the two it comes from. */
async function named<T>({ target: { url } }: InstanceClient, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof SplError) || error.message.includes(url)) throw error;
    const hint =
      error.code === "unauthorized" &&
      `spl token save TOKEN --url ${url} keeps one for it; of two instances SPL_TOKEN goes to the one that SPL_SERVE_URL names`;
    throw error.retold({ message: `${url}: ${error.message}`, ...(hint && { hint }) });
  }
}

function line(difference: Difference): string {
  if (difference.kind === "manifest") {
    return `- ${difference.field} ${difference.a}\n+ ${difference.field} ${difference.b}\n`;
  }
  const mark = { only_a: "-", only_b: "+", envelope: "~" }[difference.kind];
  return `${mark} ${difference.thread} ${difference.clock} ${difference.actor} ${difference.id}\n`;
}

function differs({ only_a, only_b, envelopes }: DiffSummary): SplError {
  const message = `the two differ: ${counted(only_a, "record")} only in the first, ${only_b} only in the second, ${envelopes} signed otherwise`;
  return new SplError("differs", message, { detail: { only_a, only_b, envelopes } });
}

export default command;
if (import.meta.main) await runAlone(command);
