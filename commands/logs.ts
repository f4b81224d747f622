import { readTime } from "../lib/base/duration.ts";
import { SplError } from "../lib/base/errors.ts";
import { exists } from "../lib/base/exists.ts";
import { defaultHome, homePaths } from "../lib/base/home.ts";
import { eventText, type LogLine } from "../lib/base/log_line.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { followLog, lastOf, readLog } from "../lib/instance/log_files.ts";
import { defineSpl, jsonLine, runAlone } from "./_kit.ts";

const LINES = 200;
const MOST_LINES = 1_000_000;

const command = defineSpl({
  name: "logs",
  summary: "Show the log of this machine's instance, with or without its daemon",
  description: `The last ${LINES} lines, oldest first, or with --since all from then on. It reads the files of the home, logs/spl.log and\nthe older ones beside it, which turn over at 16 MiB. What a daemon in the foreground shows is there too.`,
  args: {
    follow: { type: "boolean", alias: "f", description: "stay and show new lines" },
    lines: { type: "string", alias: "n", valueHint: "N", description: "the last N lines only" },
    since: {
      type: "string",
      valueHint: "WHEN",
      description: "leave out what is older: 2h, 7d, or an ISO time",
    },
  },
  examples: ["spl logs -f", "spl logs --since 2h", "spl logs --since 24h -o ndjson | grep '\"sync\"'"],
  run: async (ctx, { follow, lines, since }) => {
    const { log } = homePaths(defaultHome(ctx.env));
    const from = since === undefined ? 0 : readTime(since, "--since", ctx.clock(), "ago");
    const last = lines === undefined ? (since === undefined ? LINES : null) : readLines(lines);
    if (follow && ctx.output === "json") {
      throw new SplError("usage", "--follow has no end, and -o json is one array", {
        hint: "use -o ndjson",
      });
    }
    if (!exists(log) && !exists(`${log}.1`)) throw noLog(log);
    const write = (line: LogLine) => ctx.out.write(ctx.output === "text" ? text(line) : jsonLine(line));
    if (follow) {
      // Ended by the signal itself, as nothing has to be put in order.
      const { signal } = new AbortController();
      for await (const line of followLog(log, { last, since: from, signal })) await write(line);
      return;
    }
    const read = readLog(log, from);
    const shown = last === null ? read : lastOf(read, last);
    if (ctx.output !== "json") for (const line of shown) await write(line);
    else {
      let before = "[";
      for (const line of shown) {
        await ctx.out.write(before + jsonLine(line).trimEnd());
        before = ",\n";
      }
      await ctx.out.write(before === "[" ? "[]\n" : "]\n");
    }
  },
});

function readLines(text: string): number {
  const n = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (n <= MOST_LINES) return n;
  throw new SplError("usage", `--lines ${JSON.stringify(text)} is no number of lines`, {
    hint: `a number from 0 to ${MOST_LINES}`,
  });
}

function noLog(path: string): SplError {
  return new SplError("not_found", `there is no log at ${path}: no daemon has run in this home`, {
    hint: "spl serve --daemon starts one; journalctl --user -u spl.service has what a service said before it got so far",
  });
}

function text({ time, event, facts }: LogLine): string {
  return `${safeText(time === null ? String(facts.text) : `${time} ${eventText(event, facts)}`)}\n`;
}

export default command;
if (import.meta.main) await runAlone(command);
