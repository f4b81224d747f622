import { defineVerb } from "./_emit.ts";
import { runAlone } from "./_kit.ts";

const command = defineVerb({
  name: "do",
  act: "DO",
  field: "text",
  summary: "Record what was done",
  examples: [
    `spl do "copied /srv" --thread th_disk`,
    `spl do --thread th_disk --body '{"cancels":"<record id>"}'`,
  ],
});

export default command;
if (import.meta.main) await runAlone(command);
