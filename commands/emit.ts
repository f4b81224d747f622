import { resolve } from "node:path";
import { counted } from "../lib/base/text.ts";
import { fileChunks } from "./_bundle_file.ts";
import { defaultActor } from "./_emit.ts";
import { defineSpl, printResult, runAlone, targetArgs } from "./_kit.ts";
import { connect } from "./_target.ts";

const command = defineSpl({
  name: "emit",
  summary: "Write many records: one JSON object a line",
  description:
    "A line needs thread, act and body; data_type, actor, parents, clock and judged_by are optional.",
  args: {
    file: { type: "positional", default: "-", description: "NDJSON file, - for standard input" },
    actor: { type: "string", valueHint: "DID", description: "who speaks where a line names no actor" },
    ...targetArgs,
  },
  examples: [
    `echo '{"thread":"th_log","act":"DO","body":{"text":"hello"}}' | spl emit`,
    "spl emit history.ndjson",
  ],
  run: async (ctx, { file, actor, url }) => {
    const lines = file === "-" ? Bun.stdin.stream() : fileChunks(resolve(ctx.cwd, file));
    const counts = await connect(ctx, { url }).emitLines(lines, actor ?? defaultActor(ctx));
    await printResult(ctx, counts, () => {
      const known = counts.deduplicated > 0 ? `, ${counts.deduplicated} of them known before` : "";
      return `✓ ${counted(counts.emitted, "record")} emitted${known}\n`;
    });
  },
});

export default command;
if (import.meta.main) await runAlone(command);
