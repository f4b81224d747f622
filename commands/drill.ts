import { statSync } from "node:fs";
import { resolve } from "node:path";
import { fileError } from "../lib/base/errors.ts";
import { counted } from "../lib/base/text.ts";
import { requireConfidential } from "../lib/client/target.ts";
import type { DrillResult, Source } from "../lib/drill/drill.ts";
import { latestBackup } from "../lib/drill/places.ts";
import { renderFacts } from "../lib/ui/facts.ts";
import { isTerminal } from "../lib/ui/terminal.ts";
import { decryptArgs, readBundleFile } from "./_bundle_file.ts";
import { type Context, defineSpl, jsonLine, runAlone, targetArgs } from "./_kit.ts";
import { connect } from "./_target.ts";

const command = defineSpl({
  name: "drill",
  summary: "Prove that this instance can come back",
  description:
    "Exports it, or takes a bundle, brings it back in a scratch home under TMPDIR that connects to\nnobody, and compares identity, records and a fresh export. The live instance is only read. Says\nnothing of success but on a terminal or with -o json; the receipt, signed by the identity that came\nback, is kept for spl drill list. What differs ends it with status 6.",
  args: {
    from: {
      type: "string",
      valueHint: "BUNDLE|latest",
      description: "bring this file back, or the newest backup of the default folder",
    },
    keep: {
      type: "boolean",
      description: "leave the scratch home, private key included, to look at",
    },
    ...decryptArgs,
    ...targetArgs,
  },
  examples: [
    "spl drill",
    "spl drill --from latest",
    "spl drill --from backup.tar.zst.age --decrypt-key key.txt",
  ],
  run: async (ctx, { from, keep, decryptKey, url }) => {
    const source = from === undefined ? live(ctx, url) : await bundle(ctx, from, decryptKey, url);
    const { drill } = await import("../lib/drill/drill.ts");
    const { env, clock, signal } = ctx;
    const onPhase = (phase: string) => ctx.progress.update(`drill: ${phase}`);
    const result = await drill(source, { env, clock, signal, keep, onPhase });
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

function live(ctx: Context, url: string | undefined): Source {
  const client = connect(ctx, { url });
  requireConfidential(client.target, "a bundle");
  return { kind: "instance", name: client.target.socket ?? client.target.url, client };
}

async function bundle(
  ctx: Context,
  from: string,
  decryptKey: string | undefined,
  url: string | undefined,
): Promise<Source> {
  const whose = async () => (await connect(ctx, { url }).status()).instance_did;
  const path = from === "latest" ? await latestBackup(ctx.env, whose) : resolve(ctx.cwd, from);
  let bytes: number;
  try {
    bytes = statSync(path).size;
  } catch (error) {
    throw fileError(error, "read", path);
  }
  return { kind: "bundle", name: path, bytes, open: () => readBundleFile(ctx, path, { decryptKey }) };
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
