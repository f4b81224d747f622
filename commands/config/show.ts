import { CONFIG_KEYS, loadConfig } from "../../lib/client/config.ts";
import { renderTable } from "../../lib/ui/table.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "config show",
  summary: "Show the settings of the command line",
  examples: ["spl config show", "spl config show -o json"],
  run: async (ctx) => {
    const config = loadConfig(ctx.env);
    await printResult(ctx, config, () =>
      renderTable(
        CONFIG_KEYS,
        [
          { title: "KEY", value: (key) => key },
          { title: "VALUE", value: (key) => config[key] ?? "-" },
        ],
        null,
      ),
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
