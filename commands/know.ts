import { SplError } from "../lib/base/errors.ts";
import { isRecordId } from "../lib/record/shape.ts";
import { emitOne, recordArgs } from "./_emit.ts";
import { defineSpl, runAlone } from "./_kit.ts";

const command = defineSpl({
  name: "know",
  summary: "Record what is known; with --fulfills it closes a goal",
  args: {
    ...recordArgs,
    fulfills: { type: "string", valueHint: "ID", description: "the goal's record that this fulfills" },
  },
  examples: [`spl know "all 12 files match" --thread th_disk --fulfills <record id>`],
  run: (ctx, { fulfills, ...args }) => {
    if (fulfills !== undefined && !isRecordId(fulfills)) {
      throw new SplError("usage", `--fulfills ${fulfills} is no record's id`, {
        hint: "it is 64 hex digits, as spl intend printed them",
      });
    }
    return emitOne(ctx, "KNOW", "text", args, fulfills === undefined ? {} : { fulfills });
  },
});

export default command;
if (import.meta.main) await runAlone(command);
