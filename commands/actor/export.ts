import { resolve } from "node:path";
import { holdsFile } from "../../lib/base/atomic_file.ts";
import { SplError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { writeBundleFile } from "../_bundle_file.ts";
import { defineSpl, jsonLine, runAlone, targetArgs } from "../_kit.ts";
import { connectForBundle } from "../_target.ts";

const command = defineSpl({
  name: "actor export",
  summary: "Write one actor into a file, to take it to another instance",
  description:
    "NDJSON: a header that the instance signs, the keys of other signers, then the actor's records with their signatures\nand the outcomes of its work. Memories are its KNOW and LEARN records: what it knows and has learned, in contrast\nto what it intended and did. What it wrote on th_engine_config and the other reserved threads stays.",
  args: {
    actor: { type: "positional", description: "the actor's DID" },
    out: {
      type: "string",
      valueHint: "FILE",
      default: "-",
      description: "file to write, - for standard output",
    },
    memories: { type: "boolean", default: true, description: "leave out its KNOW and LEARN records" },
    force: { type: "boolean", description: "replace an existing file" },
    ...targetArgs,
  },
  examples: [
    "spl actor export did:sync:agent:deployer --out deployer.ndjson",
    "spl actor export did:sync:agent:deployer | ssh box spl actor import -",
  ],
  run: async (ctx, { actor, out, memories, force, url }) => {
    if (out !== "-" && holdsFile(resolve(ctx.cwd, out)) && !force) {
      throw new SplError("file_exists", `${out} exists`, {
        hint: "pass --force to replace it, or name another file",
      });
    }
    const client = await connectForBundle(ctx, { url }, "exporting from");
    const signal = out === "-" ? undefined : ctx.signal;
    const bytes = await writeBundleFile(ctx, out, await client.exportActor(actor, { memories }, signal));
    await ctx.progress.clear();
    if (out === "-") return;
    await ctx.out.write(
      ctx.output === "text"
        ? `✓ ${safeText(actor)} written to ${safeText(out)} (${bytes} bytes)\n`
        : jsonLine({ path: out, actor, memories, bytes }),
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
