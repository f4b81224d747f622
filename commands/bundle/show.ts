import { refusal } from "../../lib/bundle/malformed.ts";
import { readBundle } from "../../lib/bundle/read.ts";
import { renderFacts } from "../../lib/ui/facts.ts";
import { decryptArgs, readBundleFile } from "../_bundle_file.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";
import { manifestFacts } from "../_manifest.ts";

const command = defineSpl({
  name: "bundle show",
  summary: "Show what a bundle's signed manifest says",
  description: "Checks the manifest's signature and reads no further; `spl verify` checks the rest.",
  args: { file: { type: "positional", description: "the bundle, - for standard input" }, ...decryptArgs },
  examples: ["spl bundle show migration.tar.zst", "spl bundle show migration.tar.zst -o json"],
  run: async (ctx, { file, decryptKey }) => {
    for await (const event of readBundle(readBundleFile(ctx, file, { decryptKey }), {})) {
      if (event.kind !== "manifest") continue;
      return printResult(ctx, event.manifest, () => `${file}\n${renderFacts(manifestFacts(event.manifest))}`);
    }
    throw refusal("it holds no manifest");
  },
});

export default command;
if (import.meta.main) await runAlone(command);
