import { defineSpl, runAlone } from "./_kit.ts";
import { stop } from "./serve.ts";

const command = defineSpl({
  name: "stop",
  summary: "End the daemon of this home, as spl serve --stop does",
  examples: ["spl stop"],
  run: stop,
});

export default command;
if (import.meta.main) await runAlone(command);
