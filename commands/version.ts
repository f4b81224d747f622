import { VERSION } from "../lib/base/version.ts";
import { BUNDLE_VERSION } from "../lib/bundle/types.ts";
import { defineSpl, printResult, runAlone } from "./_kit.ts";

const command = defineSpl({
  name: "version",
  summary: "Show the version of this program",
  description: "As JSON also the version of the bundles it reads and writes, and what it runs on.",
  examples: ["spl version", "spl version -o json"],
  run: (ctx) =>
    printResult(
      ctx,
      {
        version: VERSION,
        bundle_version: BUNDLE_VERSION,
        runtime: `bun ${Bun.version}`,
        platform: `${process.platform}-${process.arch}`,
      },
      () => `spl ${VERSION}\n`,
    ),
});

export default command;
if (import.meta.main) await runAlone(command);
