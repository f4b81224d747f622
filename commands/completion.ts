import {
  bashCompletion,
  type Completable,
  type CompletableCommand,
  fishCompletion,
  zshCompletion,
} from "../lib/ui/completion.ts";
import type { SplCommand } from "./_command.ts";
import { defineSpl, printResult, runAlone } from "./_kit.ts";
import { flagNames, optionsOf } from "./_strict.ts";

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

const command = defineSpl({
  name: "completion",
  summary: "Print the completion script of a shell",
  args: {
    shell: { type: "positional", options: ["bash", "zsh", "fish"], description: "bash, zsh or fish" },
  },
  examples: [
    "source <(spl completion bash)    # in ~/.bashrc",
    "source <(spl completion zsh)     # in ~/.zshrc, behind compinit",
    "spl completion fish | source     # in ~/.config/fish/config.fish",
  ],
  run: async (ctx, args) => {
    const script = SCRIPTS[args.shell](await everything());
    await printResult(ctx, { shell: args.shell, script }, () => script);
  },
});

async function everything(): Promise<Completable> {
  const { COMMANDS, everyCommand } = await import("./_table.ts");
  const commands = [...everyCommand(COMMANDS)].map(async ({ words, load }) =>
    describe(words, (await load()).default),
  );
  const nouns = COMMANDS.flatMap((section) => Object.entries(section.commands)).flatMap(([word, entry]) =>
    typeof entry === "function" ? [] : [{ word, summary: entry.summary }],
  );
  return { commands: await Promise.all(commands), nouns };
}

function describe(words: readonly string[], { summary, flags }: SplCommand): CompletableCommand {
  const declared = Object.entries(flags);
  const [operand] = declared.filter(([, def]) => def.type === "positional");
  return {
    words,
    summary,
    operands: (operand && optionsOf(operand[1])) ?? [],
    flags: declared
      .filter(([, def]) => def.type !== "positional")
      .map(([key, def]) => ({
        names: flagNames(key, def),
        summary: def.description ?? "",
        values: def.type === "boolean" ? null : (optionsOf(def) ?? []),
      })),
  };
}

export default command;
if (import.meta.main) await runAlone(command);
