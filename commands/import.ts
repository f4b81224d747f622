import type { ImportSummary, Manifest } from "../lib/api/wire.ts";
import { counted } from "../lib/base/text.ts";
import { decryptArgs, readBundleFile } from "./_bundle_file.ts";
import { type Context, defineSpl, jsonLine, runAlone, targetArgs } from "./_kit.ts";
import { connectForBundle } from "./_target.ts";

const command = defineSpl({
  name: "import",
  summary: "Make an instance be the one in a bundle",
  description:
    "The instance checks the whole file before it writes anything; then it takes over all records and the identity in\none step, or nothing. Importing the same bundle again changes nothing.",
  args: {
    file: { type: "positional", description: "the bundle, - for standard input" },
    dryRun: { type: "boolean", description: "check everything and tell what would happen, without a write" },
    forceOverwrite: {
      type: "boolean",
      description: "import into an instance that holds other records; the two are united",
    },
    keepIdentity: { type: "boolean", description: "take the records only" },
    expectDid: { type: "string", valueHint: "DID", description: "refuse a bundle of anyone else" },
    deep: { type: "boolean", description: "check each of the identity's own signatures as well" },
    ...decryptArgs,
    ...targetArgs,
  },
  examples: ["spl import ~/migration.tar.zst", "spl import --dry-run ~/migration.tar.zst"],
  run: async (ctx, { file, dryRun, forceOverwrite, keepIdentity, expectDid, deep, decryptKey, url }) => {
    const client = await connectForBundle(ctx, { url }, "importing into");
    const query = {
      dry_run: dryRun,
      force_overwrite: forceOverwrite,
      keep_identity: keepIdentity,
      expect_did: expectDid,
      deep,
    };
    let manifest: Manifest | null = null;
    const summary = await client.importBundle(
      sending(ctx, readBundleFile(ctx, file, { decryptKey })),
      query,
      async (verified) => {
        manifest = verified.manifest;
        await ctx.progress.clear();
        return say(
          ctx,
          `✓ Bundle verified
  signature:     ${verified.signature}
  source DID:    ${verified.source_did}

→ ${dryRun ? "Dry run..." : "Importing..."}
`,
        );
      },
    );
    if (ctx.output !== "text") return ctx.out.write(jsonLine(summary));
    await say(
      ctx,
      `  records inserted:    ${summary.inserted}
  records deduplicated: ${summary.deduplicated}
  threads:             ${summary.threads}
  federation pairs:    ${summary.federation_pairs}
  identity:            ${identityLine(summary, manifest)}

✓ ${dryRun ? "Dry run complete, nothing was written" : "Import complete"}
`,
    );
    for (const note of notes(summary)) await ctx.err.line(note);
  },
});

function say(ctx: Context, text: string): Promise<void> {
  return ctx.output === "text" ? ctx.out.write(text) : Promise.resolve();
}

async function* sending(ctx: Context, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    ctx.progress.update(`${(bytes / 1e6).toFixed(1)} MB sent`);
    yield chunk;
  }
}

function identityLine({ identity, instance_did }: ImportSummary, manifest: Manifest | null): string {
  if (identity === "adopted") return "adopted (private key matches incoming bundle)";
  if (identity === "unchanged") return "unchanged (already this identity)";
  return manifest?.identity === "none"
    ? `not in bundle (kept ${instance_did})`
    : `kept ${instance_did} (--keep-identity)`;
}

/** What a person should know beyond the summary. */
function* notes({ accounts_kept, tokens, inert_pairs, source_did }: ImportSummary): Generator<string> {
  if (tokens > 0)
    yield `${counted(tokens, "carried token")} valid here now, with the scopes of ${tokens === 1 ? "its account" : "their accounts"}`;
  if (accounts_kept.length > 0) yield `accounts that existed stay as they were: ${accounts_kept.join(", ")}`;
  if (inert_pairs > 0) {
    yield `${counted(inert_pairs, "federation pair")} of ${source_did} without effect under another identity`;
  }
}

export default command;
if (import.meta.main) await runAlone(command);
