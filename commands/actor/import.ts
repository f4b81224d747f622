import type { ActorImportSummary } from "../../lib/api/wire.ts";
import { SplError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { type Fact, renderFacts } from "../../lib/ui/facts.ts";
import { readBundleFile } from "../_bundle_file.ts";
import { defaultActor } from "../_emit.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "../_kit.ts";
import { connectForBundle } from "../_target.ts";

const command = defineSpl({
  name: "actor import",
  summary: "Take in an actor from another instance",
  description:
    "All of the file or nothing: every hash and signature is checked first, and ids, signatures and signers stay as they\nare. From then on the actor is the one that the other instance knew by this name, and the outcomes of its work\ncount here as well, as much as --trust-discount says; without it all the first time, and later what they counted\nbefore. Importing the same file again inserts nothing.",
  args: {
    file: { type: "positional", description: "the actor's file, - for standard input" },
    dryRun: { type: "boolean", description: "check everything and tell what would happen, without a write" },
    merge: { type: "boolean", description: "unite with other records that the actor has here" },
    trustDiscount: {
      type: "string",
      valueHint: "0..1",
      description: "what the file's outcomes count here, of what they count at its source",
    },
    ...targetArgs,
  },
  examples: [
    "spl actor import deployer.ndjson",
    "spl actor import deployer.ndjson --trust-discount 0.5 --dry-run",
  ],
  run: async (ctx, { file, dryRun, merge, trustDiscount, url }) => {
    const query = { dry_run: dryRun, merge, trust_discount: shareOf(trustDiscount), by: defaultActor(ctx) };
    const client = await connectForBundle(ctx, { url }, "importing into");
    const summary = await client.importActor(readBundleFile(ctx, file, { decryptKey: undefined }), query);
    await printResult(ctx, summary, () => report(summary));
  },
});

/** @throws SplError usage */
function shareOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const share = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (share >= 0 && share <= 1) return share;
  throw new SplError("usage", `--trust-discount ${JSON.stringify(text)} is no number from 0 to 1`, {
    hint: "write it like 0.5",
  });
}

function report(summary: ActorImportSummary): string {
  const facts: Fact[] = [
    ["name", summary.name ?? "-"],
    ["source DID", summary.source_did],
    ["records inspected", summary.inspected],
    ["records inserted", summary.inserted],
    ["records deduplicated", summary.deduplicated],
    ["threads", summary.threads],
    ["signers", summary.signers],
    ["memories", summary.memories ? "included" : "left out"],
    ["outcomes count", summary.trust_discount],
  ];
  const end = summary.dry_run ? "Dry run complete, nothing was written" : "Import complete";
  return `✓ Actor verified: ${safeText(summary.actor)}\n${renderFacts(facts)}\n✓ ${end}\n`;
}

export default command;
if (import.meta.main) await runAlone(command);
