import { isoTime } from "../lib/base/clock.ts";
import { readTime } from "../lib/base/duration.ts";
import { defineSpl, jsonLine, runAlone, targetArgs } from "./_kit.ts";
import { connect } from "./_target.ts";

const command = defineSpl({
  name: "audit",
  summary: "List sign-ins, mints, pairings, exports and imports, oldest first",
  description: "One event a line, as JSON, whatever -o says.",
  args: {
    since: {
      type: "string",
      valueHint: "WHEN",
      description: "leave out what is older: 24h, 7d, or an ISO time",
    },
    ...targetArgs,
  },
  examples: ["spl audit --since 24h", `spl audit --since 2026-01-31 | grep '"token.mint"'`],
  run: async (ctx, { since, url }) => {
    const from = since === undefined ? undefined : isoTime(readTime(since, "--since", ctx.clock(), "ago"));
    for await (const event of connect(ctx, { url }).audit(from)) await ctx.out.write(jsonLine(event));
  },
});

export default command;
if (import.meta.main) await runAlone(command);
