import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { writeFileAtomic } from "../../lib/base/atomic_file.ts";
import { utf8 } from "../../lib/base/bytes.ts";
import { fileError } from "../../lib/base/errors.ts";
import { defaultHome } from "../../lib/base/home.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";
import { runningDaemon } from "../_port_check.ts";
import { runAll, servicePlan, typed } from "../_service.ts";

const command = defineSpl({
  name: "service install",
  summary: "Start the daemon at each boot",
  description:
    "Writes a systemd user unit (launchd on macOS) and switches it on where that program answers; else, or\nwhile a daemon runs that was started by hand, it says what to type. Safe to run again, as after the binary moved.",
  examples: ["spl service install"],
  run: async (ctx) => {
    const { path, text, on, isOn, linger } = servicePlan(ctx);
    try {
      mkdirSync(dirname(path), { recursive: true });
    } catch (error) {
      throw fileError(error, "create", dirname(path));
    }
    writeFileAtomic(path, utf8(text), 0o644);
    // Beside a daemon that was started by hand the service would fail to start, over and over.
    const byHand = (await runningDaemon(defaultHome(ctx.env))) !== null && !runAll(isOn, ctx.env);
    const started = !byHand && runAll(on, ctx.env);
    const toStart = typed(byHand ? [["spl", "serve", "--stop"], ...on] : on);
    await printResult(ctx, { path, started, next: started ? linger : toStart }, () =>
      safeText(`✓ Written to ${path}`).concat(started ? "\n" : `\n  to start it: ${toStart}\n`),
    );
    if (linger !== null && ctx.output === "text")
      await ctx.err.line(`so that it runs while you are not logged in: ${linger}`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
