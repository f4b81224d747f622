import { defineVerb } from "./_emit.ts";
import { runAlone } from "./_kit.ts";

const command = defineVerb({
  name: "learn",
  act: "LEARN",
  field: "text",
  summary: "Record what was learned",
  examples: [`spl learn "rsync needs -H for hard links" --thread th_disk`],
});

export default command;
if (import.meta.main) await runAlone(command);
