import { readBundle } from "../../lib/bundle/read.ts";
import { decryptArgs, readBundleFile } from "../_bundle_file.ts";
import { defineSpl, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "bundle ls",
  summary: "List the members of a bundle, each checked before it is listed",
  args: { file: { type: "positional", description: "the bundle, - for standard input" }, ...decryptArgs },
  examples: ["spl bundle ls migration.tar.zst | head", "spl bundle ls migration.tar.zst -o ndjson"],
  run: async (ctx, { file, decryptKey }) => {
    let before = ctx.output === "json" ? "[" : "";
    for await (const event of readBundle(readBundleFile(ctx, file, { decryptKey }), { members: true })) {
      if (event.kind !== "member") continue;
      const { path, size, sha256 } = event;
      if (ctx.output === "text") await ctx.out.write(`${sha256}  ${String(size).padStart(9)}  ${path}\n`);
      else {
        await ctx.out.write(
          before + JSON.stringify({ path, size, sha256 }) + (ctx.output === "json" ? "" : "\n"),
        );
        if (ctx.output === "json") before = ",\n";
      }
    }
    if (ctx.output === "json") await ctx.out.write("]\n");
  },
});

export default command;
if (import.meta.main) await runAlone(command);
