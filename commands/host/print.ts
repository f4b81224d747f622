import { SplError } from "../../lib/base/errors.ts";
import { selfCommand } from "../../lib/base/runtime.ts";
import { VERSION } from "../../lib/base/version.ts";
import { RECIPES, type Recipe } from "../../lib/hosting/recipes.ts";
import { defineSpl, printResult, runAlone } from "../_kit.ts";

const command = defineSpl({
  name: "host print",
  summary: "Print a Dockerfile, a systemd unit or a fly.toml for a hosting service",
  description:
    "docker: an image of one instance, as driver fly runs it. systemd: the hosting service itself on a machine of your\nown. fly.toml: pushes that image to Fly's registry. Nothing is written.",
  args: {
    what: {
      type: "positional",
      description: Object.keys(RECIPES).join(", "),
    },
    domain: {
      type: "string",
      valueHint: "DOMAIN",
      default: "example.com",
      description: "the service's name, for the unit",
    },
  },
  examples: [
    "spl host print docker > Dockerfile",
    "spl host print systemd --domain example.com > spl-host.service",
    "spl host print fly.toml > fly.toml",
  ],
  run: async (ctx, { what, domain }) => {
    if (!Object.hasOwn(RECIPES, what)) {
      throw new SplError("usage", `there is no recipe ${what}`, {
        hint: `choose ${Object.keys(RECIPES).join(", ")}`,
      });
    }
    if (!/^[a-z0-9.-]+$/.test(domain)) throw new SplError("usage", `--domain ${domain} is no host name`);
    const program = selfCommand().join(" ");
    const text = RECIPES[what as Recipe]({ program, domain, version: VERSION });
    await printResult(ctx, { recipe: what, text }, () => text);
  },
});

export default command;
if (import.meta.main) await runAlone(command);
