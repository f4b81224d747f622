import { type ArgsDef, defineCommand, runCommand } from "citty";
import type { ArgValues, CommandSpec, SplCommand } from "./_command.ts";
import { type Context, OUTPUTS } from "./_context.ts";
import { runProcess } from "./_exit.ts";
import { commandHelp } from "./_help.ts";
import { strictArgv } from "./_strict.ts";

export type { ArgValues, SplCommand } from "./_command.ts";
export type { Context } from "./_context.ts";
export { jsonLine, printGroups, printList, printResult } from "./_print.ts";

const globalArgs = {
  output: {
    type: "enum",
    alias: "o",
    options: [...OUTPUTS],
    default: "text",
    description: "form of the result",
  },
  help: { type: "boolean", alias: "h", description: "show this help" },
} satisfies ArgsDef;

/** Spread into the arguments of every command that talks to an instance. */
export const targetArgs = {
  url: {
    type: "string",
    valueHint: "URL",
    description: "instance to talk to (else SPL_SERVE_URL, default_url, the local daemon)",
  },
} as const satisfies ArgsDef;

/** Declares a command; the default export of its file. */
export function defineSpl<const T extends ArgsDef>(spec: CommandSpec<T>): SplCommand {
  const flags: ArgsDef = {};
  for (const [key, def] of Object.entries({ ...spec.args, ...globalArgs })) {
    flags[key] = def.type === "boolean" ? { default: false, ...def } : def;
  }
  const command = defineCommand<ArgsDef>({
    meta: { name: `spl ${spec.name}`, description: spec.summary },
    args: flags,
    run: ({ args, data }) => spec.run(data as Context, args as unknown as ArgValues<T>),
  });
  return Object.assign(command, {
    name: spec.name,
    summary: spec.summary,
    description: spec.description,
    flags,
    examples: spec.examples ?? [],
    exits: spec.exits,
  });
}

/** Whether help is asked for, however wrong the rest is. */
export function wantsHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return (end < 0 ? argv : argv.slice(0, end)).some((token) => token === "--help" || token === "-h");
}

/** Runs a command with the arguments behind its name. */
export async function runSplCommand(
  command: SplCommand,
  argv: readonly string[],
  ctx: Context,
): Promise<void> {
  if (wantsHelp(argv)) return ctx.out.write(commandHelp(command));
  await runCommand(command, { rawArgs: strictArgv(command.name, command.flags, argv), data: ctx });
}

/** For `if (import.meta.main)`: the file as its own program, `bun commands/export.ts --out x`. */
export function runAlone(command: SplCommand): Promise<never> {
  const argv = process.argv.slice(2);
  return runProcess(argv, (ctx) => runSplCommand(command, argv, ctx));
}
