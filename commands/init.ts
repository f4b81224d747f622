import { SplError } from "../lib/base/errors.ts";
import { defaultHome, homePaths } from "../lib/base/home.ts";
import { safeText } from "../lib/base/safe_text.ts";
import { checkInstanceName } from "../lib/identity/did.ts";
import { makeHome } from "../lib/instance/home.ts";
import { initInstance } from "../lib/instance/instance.ts";
import { HomeLock } from "../lib/instance/lock.ts";
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
    checkInstanceName(name);
    const home = defaultHome(ctx.env);
    const paths = homePaths(home);
    makeHome(paths);
    const lock = HomeLock.tryTake(paths);
    if (!lock) {
      throw new SplError("conflict", `another spl is using ${home}`, {
        hint: "spl status shows the instance that runs there; set SYNCROPEL_HOME to use another home",
      });
    }
    const { did, epoch } = await initInstance(home, name).finally(() => lock.release());
    await printResult(
      ctx,
      { home, instance_did: did, epoch },
      () => `✓ Instance made in ${safeText(home)}\n  DID: ${did}\n`,
    );
  },
});

export default command;
if (import.meta.main) await runAlone(command);
