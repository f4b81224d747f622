import { defineVerb } from "./_emit.ts";
import { runAlone } from "./_kit.ts";

const command = defineVerb({
  name: "intend",
  act: "INTEND",
  field: "goal",
  summary: "State a goal; opens a new thread unless --thread is given",
  examples: [`spl intend "move to the new disk"`],
});

export default command;
if (import.meta.main) await runAlone(command);
