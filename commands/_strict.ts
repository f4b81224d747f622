import type { ArgDef, ArgsDef } from "citty";
import { SplError } from "../lib/base/errors.ts";
import { closest } from "./_closest.ts";

/** `forceOverwrite` → `force-overwrite`: arguments are declared in camel case and typed with hyphens. */
export function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Every spelling of a flag: `--out`, `-o`; a boolean that is on by default has `--no-identity` only. */
export function flagNames(key: string, def: ArgDef): string[] {
  const long = def.type === "boolean" && def.default === true ? `--no-${kebab(key)}` : `--${kebab(key)}`;
  const aliases = "alias" in def && def.alias !== undefined ? [def.alias].flat() : [];
  return [...aliases.map((letter) => `-${letter}`), long];
}

/** The name of a positional in usage lines: `FILE`. */
export function positionalName(key: string, def: ArgDef): string {
  return def.valueHint ?? kebab(key).toUpperCase();
}

export function isRequired(def: ArgDef): boolean {
  if (def.default !== undefined) return false;
  return def.type === "positional" ? def.required !== false : def.required === true;
}

/**
 * Checks a command line against its declaration and returns it in the one spelling that citty reads without
 * guessing: `--key=value` and `--key`, then `--`, then the positionals. citty alone would accept unknown
 * flags, ignore surplus positionals, read a missing value as empty and let the last of repeated flags win.
 *
 * Accepted: `--out FILE`, `--out=FILE`, `-o json`, `-ojson`, `-o=json`; `--` ends the flags; `-` is a
 * positional; a value that starts with `-` needs `=`. An empty value is refused, for that is what an unset
 * shell variable leaves.
 * @throws SplError usage
 */
export function strictArgv(command: string, defs: ArgsDef, argv: readonly string[]): string[] {
  const flags = new Map<string, { key: string; def: ArgDef }>();
  const positionals: { key: string; def: ArgDef }[] = [];
  for (const [key, def] of Object.entries(defs)) {
    if (def.type === "positional") positionals.push({ key, def });
    else for (const name of flagNames(key, def)) flags.set(name, { key, def });
  }
  const see = `see 'spl ${command} --help'`;
  const refuse = (message: string, hint = see): never => {
    throw new SplError("usage", message, { hint });
  };

  const given = new Map<string, string>();
  const values: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const token = argv[at]!;
    if (token === "--") {
      values.push(...argv.slice(at + 1));
      break;
    }
    if (token === "-" || !token.startsWith("-")) {
      values.push(token);
      continue;
    }
    const { name, attached } = splitFlag(token);
    const flag = flags.get(name);
    if (flag === undefined) {
      const near = closest(name, flags.keys());
      return refuse(`unknown flag ${name} for 'spl ${command}'`, near && `did you mean ${near}?`);
    }
    const { key, def } = flag;
    if (given.has(key)) refuse(`${name} is given twice`, `give it once; ${see}`);
    if (def.type === "boolean") {
      if (attached !== undefined) refuse(`${name} takes no value`);
      given.set(key, def.default === true ? `--no-${key}` : `--${key}`);
      continue;
    }
    const next = argv[at + 1];
    const value =
      attached ?? (next !== undefined && (next === "-" || !next.startsWith("-")) ? next : undefined);
    if (attached === undefined) at++;
    if (value === undefined || value === "")
      return refuse(`${name} needs a value`, flagUsage(name, key, def));
    checkOption(name, def, value, refuse);
    given.set(key, `--${key}=${value}`);
  }

  for (const [key, def] of Object.entries(defs)) {
    if (def.type !== "positional" && isRequired(def) && !given.has(key)) {
      const name = flagNames(key, def).at(-1)!;
      refuse(`${name} is missing`, flagUsage(name, key, def));
    }
  }
  for (const [at, { key, def }] of positionals.entries()) {
    const value = values[at];
    const name = positionalName(key, def);
    if (value === undefined && isRequired(def)) refuse(`${name} is missing`);
    if (value === "") refuse(`${name} is empty`);
    if (value !== undefined) checkOption(name, def, value, refuse);
  }
  const surplus = values[positionals.length];
  if (surplus !== undefined) refuse(`unexpected argument '${surplus}' for 'spl ${command}'`);
  return [...given.values(), "--", ...values];
}

/** `--out=x` → name and value; `-ojson` and `-o=json` likewise. */
function splitFlag(token: string): { name: string; attached: string | undefined } {
  if (!token.startsWith("--")) {
    const rest = token.slice(2);
    return { name: token.slice(0, 2), attached: rest === "" ? undefined : rest.replace(/^=/, "") };
  }
  const equals = token.indexOf("=");
  return equals < 0
    ? { name: token, attached: undefined }
    : { name: token.slice(0, equals), attached: token.slice(equals + 1) };
}

function flagUsage(name: string, key: string, def: ArgDef): string {
  return `type ${name} ${valueName(key, def)}`;
}

/** What stands for a flag's value in help: `FILE`, or `text|json|ndjson`. */
export function valueName(key: string, def: ArgDef): string {
  return optionsOf(def)?.join("|") ?? def.valueHint ?? kebab(key).toUpperCase();
}

export function optionsOf(def: ArgDef): readonly string[] | undefined {
  return "options" in def ? def.options : undefined;
}

function checkOption(name: string, def: ArgDef, value: string, refuse: (message: string) => never): void {
  const options = optionsOf(def);
  if (options && !options.includes(value))
    refuse(`${name} must be one of ${options.join(", ")}, not '${value}'`);
}
