import type { Envelope } from "../../lib/api/wire.ts";
import { textLines } from "../../lib/base/lines.ts";
import { safeJson, safeText } from "../../lib/base/safe_text.ts";
import { canonicalText } from "../../lib/record/canonical.ts";
import type { JsonObject } from "../../lib/record/types.ts";
import { fit } from "../../lib/ui/fit.ts";
import { isTerminal } from "../../lib/ui/terminal.ts";
import { type Context, defineSpl, jsonLine, runAlone, targetArgs } from "../_kit.ts";
import { connect } from "../_target.ts";

const command = defineSpl({
  name: "thread records",
  summary: "Show the records of a thread in canonical order",
  description:
    "Into a pipe or file this is canonical NDJSON with nothing local in it, so that its SHA-256 is equal on equal\ninstances. -f stays and shows what comes, in order of arrival.",
  args: {
    thread: { type: "positional", description: "the thread's id" },
    follow: { type: "boolean", alias: "f", description: "stay and show new records" },
    ...targetArgs,
  },
  examples: [
    "spl thread records th_disk",
    "spl thread records th_disk | sha256sum",
    "spl thread records -f th_disk",
  ],
  run: async (ctx, { thread, follow, url }) => {
    const client = connect(ctx, { url });
    const terminal = isTerminal(1);
    const shown = (envelope: Envelope): string => {
      if (!terminal) return `${canonicalText(envelope as JsonObject)}\n`;
      return ctx.output === "text" ? row(ctx, envelope) : jsonLine(envelope);
    };
    if (follow) {
      for await (const { seq: _, ...envelope } of client.follow({ thread, after: 0 }, ctx.signal)) {
        await ctx.out.write(shown(envelope));
      }
      return;
    }
    const chunks = await client.threadRecords(thread);
    if (ctx.output === "json") return asArray(ctx, chunks);
    if (!terminal) {
      for await (const chunk of chunks) await ctx.out.write(chunk);
      return;
    }
    for await (const line of textLines(chunks)) await ctx.out.write(shown(JSON.parse(line) as Envelope));
  },
});

/** One record on one line of a terminal. */
function row(ctx: Context, { id, record }: Envelope): string {
  const clock = String(record.clock).padStart(6);
  const line = `${clock}  ${id.slice(0, 12)}  ${record.act.padEnd(6)}  ${record.actor}  ${JSON.stringify(record.body)}`;
  return `${ctx.width === null ? safeText(line) : fit(safeText(line), ctx.width)}\n`;
}

async function asArray(ctx: Context, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  let before = "[";
  for await (const line of textLines(chunks)) {
    await ctx.out.write(before + safeJson(line));
    before = ",\n";
  }
  await ctx.out.write(before === "[" ? "[]\n" : "]\n");
}

export default command;
if (import.meta.main) await runAlone(command);
