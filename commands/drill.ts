import type { Choice } from "../lib/backup/newest.ts";
import { SplError } from "../lib/base/errors.ts";
import { counted } from "../lib/base/text.ts";
import type { LockKind } from "../lib/bundle/encrypt.ts";
import { requireConfidential } from "../lib/client/target.ts";
import type { DrillResult, Source } from "../lib/drill/drill.ts";
import { renderFacts } from "../lib/ui/facts.ts";
import { isTerminal } from "../lib/ui/terminal.ts";
import { backupKey, backupKeyArgs } from "./_backup.ts";
import { askToUnlock, plainBundle } from "./_bundle_file.ts";
import { type ArgValues, type Context, defineSpl, jsonLine, runAlone, targetArgs } from "./_kit.ts";
import { pingArgs, pinging } from "./_ping.ts";
import { storedBundle } from "./_stored_bundle.ts";
import { connect } from "./_target.ts";

const drillArgs = {
  from: {
    type: "string",
    valueHint: "BUNDLE|latest|DIR|s3://…",
    description: "bring this file back, or the newest backup: latest is that of the default folder",
  },
  keep: {
    type: "boolean",
    description: "leave the scratch home, private key included, to look at",
  },
  ...backupKeyArgs,
  ...pingArgs,
  ...targetArgs,
} as const;

type Args = ArgValues<typeof drillArgs>;

const command = defineSpl({
  name: "drill",
  summary: "Prove that this instance can come back",
  description:
    "Exports it, or takes a bundle, brings it back in a scratch home under TMPDIR that connects to\nnobody, and compares identity, records and a fresh export. The live instance is only read. Says\nnothing of success but on a terminal or with -o json; the receipt, signed by the identity that came\nback, is kept for spl drill list. What differs ends it with status 6; status 5 while another drill runs.",
  args: drillArgs,
  examples: [
    "spl drill",
    "spl drill --from latest --ping https://hc-ping.com/uuid",
    "spl drill --from backup.tar.zst.age --decrypt-key key.txt",
  ],
  run: async (ctx, args) => {
    if (args.from === undefined && (args.decryptKey ?? args.passphraseFile) !== undefined)
      throw new SplError("usage", "--decrypt-key and --passphrase-file go with --from");
    const { env, clock, signal } = ctx;
    const { keep } = args;
    const onPhase = (phase: string) => ctx.progress.update(`drill: ${phase}`);
    const result = await pinging(ctx, args, async () => {
      const source = args.from === undefined ? live(ctx, args) : await bundle(ctx, args, args.from);
      const { drill } = await import("../lib/drill/drill.ts");
      return drill(source, { env, clock, signal, keep, onPhase });
    });
    await ctx.progress.clear();
    if (ctx.output !== "text") return ctx.out.write(jsonLine(result));
    if (isTerminal(1)) await ctx.out.write(report(result));
    if (result.kept !== null) {
      await ctx.err.line(
        `${result.kept} holds the private key of ${result.did}; remove it when you have looked`,
      );
    }
  },
});

function live(ctx: Context, args: Args): Source {
  const client = connect(ctx, args);
  requireConfidential(client.target, "a bundle");
  return { kind: "instance", name: client.target.socket ?? client.target.url, client };
}

async function bundle(ctx: Context, args: Args, from: string): Promise<Source> {
  const key = await backupKey(ctx, args);
  const { name, bytes, chunks } = await storedBundle(ctx, from, () => whose(ctx, args));
  const unlock = async (kind: LockKind) => key ?? askToUnlock(kind, ctx.interactive);
  return { kind: "bundle", name, bytes, open: () => plainBundle(chunks(), unlock) };
}

async function whose(ctx: Context, args: Args): Promise<Choice> {
  return {
    did: await instanceAtHand(ctx, args),
    several: "none is running that tells which is meant: start it, or name a bundle with --from",
    none: "name a bundle with --from",
  };
}

/** The DID of the instance that the command line points at, or null when none answers. */
async function instanceAtHand(ctx: Context, args: Args): Promise<string | null> {
  try {
    return (await connect(ctx, args).status()).instance_did;
  } catch (error) {
    if (error instanceof SplError && error.code === "unreachable") return null;
    throw error;
  }
}

function report(result: DrillResult): string {
  const { did, records, threads, sampled, accounts, federation_pairs, consent_grants } = result;
  const times = [...result.phases, { phase: "tear-down", ms: result.tear_down_ms }];
  return `✓ ${result.source} comes back whole
${renderFacts([
  ["identity", did],
  ["records", `${records} in ${counted(threads, "thread")}, ${sampled} of them compared one by one`],
  ["accounts", accounts],
  ["pairs", federation_pairs],
  ["grants", consent_grants],
  ["digest", result.digest],
  ["fresh export", result.same_file ? "the same, byte for byte" : "the same content, in another compression"],
  ["phases", `${times.map(({ phase, ms }) => `${phase} ${(ms / 1000).toFixed(2)}`).join(", ")} s`],
  ["back in", `${(result.recovered_ms / 1000).toFixed(2)} s`],
  ["receipt", result.receipt],
])}`;
}

export default command;
if (import.meta.main) await runAlone(command);
