import { inspectBundle } from "../lib/instance/inspect.ts";
import { type Fact, renderFacts } from "../lib/ui/facts.ts";
import { decryptArgs, readBundleFile } from "./_bundle_file.ts";
import { defineSpl, printResult, runAlone } from "./_kit.ts";
import { manifestFacts } from "./_manifest.ts";

const command = defineSpl({
  name: "verify",
  summary: "Check a bundle file from its first byte to its last",
  description: "Needs no instance and writes nothing. `-` reads standard input.",
  args: {
    file: { type: "positional", description: "the bundle" },
    deep: { type: "boolean", description: "check each of the identity's own signatures as well" },
    ...decryptArgs,
  },
  examples: ["spl verify migration.tar.zst", "age -d -i key.txt b.tar.zst.age | spl verify -"],
  run: async (ctx, { file, deep, decryptKey }) => {
    let records = 0;
    const { manifest, digest } = await inspectBundle(readBundleFile(ctx, file, { decryptKey }), {
      deep,
      onEvent: (event) => {
        if (event.kind !== "group") return;
        records += event.entries.length;
        ctx.progress.update(`${records} records checked`);
      },
    });
    const result = { signature: "valid", digest, ...manifest };
    const facts: Fact[] = [["signature", "valid"], ...manifestFacts(manifest), ["digest", digest]];
    await printResult(ctx, result, () => `✓ Bundle verified\n${renderFacts(facts)}`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
