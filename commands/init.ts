import { defaultHome } from "../lib/base/home.ts";
import { initInstance } from "../lib/instance/instance.ts";
import { defineSpl, printResult, runAlone } from "./_kit.ts";

const command = defineSpl({
  name: "init",
  summary: "Make a new instance: home, key, store",
  description: "Nothing that exists is replaced. `spl serve` does the same by itself in an empty home.",
  args: {
    name: {
      type: "string",
      default: "local",
      valueHint: "NAME",
      description: "name part of the DID, fixed from now on",
    },
  },
  examples: ["spl init", "SYNCROPEL_HOME=/srv/spl spl init --name box"],
  run: async (ctx, { name }) => {
    const home = defaultHome(ctx.env);
    const { did, epoch } = await initInstance(home, name);
    await printResult(
      ctx,
      { home, instance_did: did, epoch },
      () => `✓ Instance made in ${home}\n  DID: ${did}\n`,
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
