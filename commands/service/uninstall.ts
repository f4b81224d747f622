import { rmSync } from "node:fs";
import { SplError } from "../../lib/base/errors.ts";
import { exists } from "../../lib/base/exists.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";
import { runAll, servicePlan, typed } from "../_service.ts";

const command = defineSpl({
  name: "service uninstall",
  summary: "Do not start the daemon at boot any more",
  description: "Stops the service and removes its file. The instance and its records stay.",
  examples: ["spl service uninstall"],
  run: async (ctx) => {
    const { path, off } = servicePlan(ctx);
    if (!exists(path)) throw new SplError("not_found", `there is no service at ${path}`);
    const stopped = runAll(off, ctx.env);
    rmSync(path, { force: true });
    await printResult(ctx, { path, stopped }, () =>
      safeText(`✓ Removed ${path}`).concat(stopped ? "\n" : `\n  if it runs: ${typed(off)}\n`),
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
