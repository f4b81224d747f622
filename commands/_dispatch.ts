import { SplError } from "../lib/base/errors.ts";
import { closest } from "./_closest.ts";
import type { Context } from "./_context.ts";
import { commandHelp } from "./_help.ts";
import { runSplCommand, wantsHelp } from "./_kit.ts";
import { nounHelp, overview } from "./_overview.ts";
import type { Load, Noun, Section } from "./_table.ts";

/** Finds the command that the arguments name and runs it. @throws SplError usage, and what the command throws */
export async function dispatch(
  sections: readonly Section[],
  argv: readonly string[],
  ctx: Context,
): Promise<void> {
  const [word, ...rest] = argv;
  if (word === undefined || word === "--help" || word === "-h")
    return ctx.out.write(await overview(sections));
  if (word === "help") return help(sections, rest, ctx);
  if (word.startsWith("-")) {
    throw new SplError("usage", `unknown flag ${word} for 'spl'`, {
      hint: "flags go behind the command, as in 'spl status -o json'",
    });
  }
  const entry = find(sections, word);
  if (typeof entry === "function") return runSplCommand((await entry()).default, rest, ctx);
  const [verb, ...behind] = rest;
  if (entry.alone && (verb === undefined || verb.startsWith("-")))
    return runSplCommand((await entry.alone()).default, rest, ctx);
  if (verb === "--help" || verb === "-h") return ctx.out.write(await nounHelp(word, entry));
  if (verb === undefined || verb.startsWith("-")) {
    if (wantsHelp(rest)) return ctx.out.write(await nounHelp(word, entry));
    if (ctx.output === "text") await ctx.err.write(`${await nounHelp(word, entry)}\n`);
    throw new SplError("usage", `'spl ${word}' needs a verb: ${Object.keys(entry.verbs).join(", ")}`);
  }
  return runSplCommand((await findVerb(word, entry, verb)()).default, behind, ctx);
}

/** `spl help`, `spl help thread`, `spl help thread list` */
async function help(sections: readonly Section[], words: readonly string[], ctx: Context): Promise<void> {
  const [word, verb, surplus] = words;
  if (word === undefined) return ctx.out.write(await overview(sections));
  const entry = find(sections, word);
  if (typeof entry === "function") {
    if (verb !== undefined) throw unexpected(verb, word);
    return ctx.out.write(commandHelp((await entry()).default));
  }
  if (verb === undefined) {
    return ctx.out.write(
      entry.alone ? commandHelp((await entry.alone()).default) : await nounHelp(word, entry),
    );
  }
  if (surplus !== undefined) throw unexpected(surplus, `${word} ${verb}`);
  return ctx.out.write(commandHelp((await findVerb(word, entry, verb)()).default));
}

function find(sections: readonly Section[], word: string): Load | Noun {
  for (const { commands } of sections) if (Object.hasOwn(commands, word)) return commands[word]!;
  const near = closest(
    word,
    sections.flatMap(({ commands }) => Object.keys(commands)),
  );
  throw new SplError("usage", `unknown command '${word}'`, {
    hint: near === undefined ? "see 'spl --help'" : `did you mean 'spl ${near}'?`,
  });
}

function findVerb(word: string, noun: Noun, verb: string): Load {
  if (Object.hasOwn(noun.verbs, verb)) return noun.verbs[verb]!;
  const near = closest(verb, Object.keys(noun.verbs));
  throw new SplError("usage", `unknown verb '${verb}' for 'spl ${word}'`, {
    hint: near === undefined ? `see 'spl ${word} --help'` : `did you mean 'spl ${word} ${near}'?`,
  });
}

function unexpected(word: string, command: string): SplError {
  return new SplError("usage", `unexpected argument '${word}' for 'spl help'`, {
    hint: `type 'spl help ${command}'`,
  });
}
