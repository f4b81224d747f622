import { configPath } from "../../lib/client/config.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "config path",
  summary: "Show where the settings of the command line are",
  description:
    "The file need not exist yet. It lies apart from any instance's home, so that archiving a home loses no\nsign-in elsewhere.",
  examples: ["spl config path", '$EDITOR "$(spl config path)"'],
  run: async (ctx) => {
    const path = configPath(ctx.env);
    await printResult(ctx, { path }, () => `${path}\n`);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
