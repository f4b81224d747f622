import type { ImportSummary, Manifest } from "../lib/api/wire.ts";
import { SplError } from "../lib/base/errors.ts";
import { decryptArgs, readBundleFile } from "./_bundle_file.ts";
import { ADOPTED, summaryNotes, summaryText, verifiedText } from "./_import_text.ts";
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
    autoRollback: {
      type: "boolean",
      default: true,
      description: "keep the import although the instance does not come up right behind it",
    },
    ...decryptArgs,
    ...targetArgs,
  },
  examples: ["spl import ~/migration.tar.zst", "spl import --dry-run ~/migration.tar.zst"],
  run: async (
    ctx,
    { file, dryRun, forceOverwrite, keepIdentity, expectDid, deep, autoRollback, decryptKey, url },
  ) => {
    const client = await connectForBundle(ctx, { url }, "importing into");
    const query = {
      dry_run: dryRun,
      force_overwrite: forceOverwrite,
      keep_identity: keepIdentity,
      expect_did: expectDid,
      deep,
      no_auto_rollback: !autoRollback,
    };
    let manifest: Manifest | null = null;
    const summary = await client.importBundle(
      sending(ctx, readBundleFile(ctx, file, { decryptKey })),
      query,
      async (verified) => {
        manifest = verified.manifest;
        await ctx.progress.clear();
        return say(ctx, `${verifiedText(verified)}→ ${dryRun ? "Dry run..." : "Importing..."}\n`);
      },
    );
    if (ctx.output !== "text") {
      await ctx.out.write(jsonLine(summary));
      return requireUp(summary);
    }
    await say(
      ctx,
      `${summaryText(summary, identityLine(summary, manifest))}✓ ${dryRun ? "Dry run complete, nothing was written" : "Import complete"}\n`,
    );
    for (const note of summaryNotes(summary)) await ctx.err.line(note);
    requireUp(summary);
  },
});

/** @throws SplError unhealthy for an import that was kept although it should have been taken back */
function requireUp({ problem, batch }: ImportSummary): void {
  if (problem === null) return;
  throw new SplError("unhealthy", `the import was kept, but the instance did not come up right: ${problem}`, {
    hint: `spl rollback ${batch} takes it back`,
  });
}

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
  if (identity === "adopted") return ADOPTED;
  if (identity === "unchanged") return "unchanged (already this identity)";
  return manifest?.identity === "none"
    ? `not in bundle (kept ${instance_did})`
    : `kept ${instance_did} (--keep-identity)`;
}

export default command;
if (import.meta.main) await runAlone(command);
