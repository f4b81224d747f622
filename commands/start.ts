import { defineSpl, runAlone } from "./_kit.ts";
import { serveArgs, start } from "./serve.ts";

const command = defineSpl({
  name: "start",
  summary: "Run the instance in the background, as spl serve --daemon does",
  args: serveArgs,
  examples: ["spl start"],
  run: start,
});

export default command;
if (import.meta.main) await runAlone(command);
