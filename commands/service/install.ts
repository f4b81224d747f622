import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { writeFileAtomic } from "../../lib/base/atomic_file.ts";
import { utf8 } from "../../lib/base/bytes.ts";
import { fileError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";
import { runAll, servicePlan, typed } from "../_service.ts";

const command = defineSpl({
  name: "service install",
  summary: "Start the daemon at each boot",
  description:
    "Writes a systemd user unit (launchd on macOS) and switches it on where that program answers; else it says what to type.\nSafe to run again, as after the binary moved.",
  examples: ["spl service install"],
  run: async (ctx) => {
    const { path, text, on, linger } = servicePlan(ctx);
    try {
      mkdirSync(dirname(path), { recursive: true });
    } catch (error) {
      throw fileError(error, "create", dirname(path));
    }
    writeFileAtomic(path, utf8(text), 0o644);
    const started = runAll(on, ctx.env);
    await printResult(ctx, { path, started, next: started ? linger : typed(on) }, () =>
      safeText(`✓ Written to ${path}`).concat(started ? "\n" : `\n  to start it: ${typed(on)}\n`),
    );
    if (linger !== null && ctx.output === "text")
      await ctx.err.line(`so that it runs while you are not logged in: ${linger}`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
