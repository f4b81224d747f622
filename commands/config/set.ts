import { SplError } from "../../lib/base/errors.ts";
import { safeText } from "../../lib/base/safe_text.ts";
import { CONFIG_KEYS, configPath, setConfig } from "../../lib/client/config.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "config set",
  summary: "Change a setting of the command line",
  description: "Other lines of the file, comments included, stay as they are.",
  args: {
    key: { type: "positional", options: CONFIG_KEYS, description: "default_url: the instance to talk to" },
    value: { type: "positional", required: false, description: "the new value" },
    unset: { type: "boolean", description: "remove the setting instead" },
  },
  examples: ["spl config set default_url https://myteam.syncropel.com", "spl config set default_url --unset"],
  run: async (ctx, args) => {
    if (args.unset === (args.value !== undefined)) {
      throw new SplError("usage", args.unset ? "--unset takes no VALUE" : "VALUE is missing", {
        hint: `type 'spl config set ${args.key} VALUE' or 'spl config set ${args.key} --unset'`,
      });
    }
    const config = setConfig(ctx.env, args.key, args.value ?? null);
    await printResult(ctx, config, () => safeText(`✓ ${configPath(ctx.env)} written`).concat("\n"));
  },
});

export default command;
if (import.meta.main) await runAlone(command);
