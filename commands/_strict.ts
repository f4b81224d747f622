import type { ArgDef, ArgsDef } from "citty";
import { SplError } from "../lib/base/errors.ts";
import { closest } from "./_closest.ts";

/** `forceOverwrite` → `force-overwrite`: arguments are declared in camel case and typed with hyphens. */
function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Every spelling of a flag: `-o`, `--output`; a boolean that is on by default has `--no-identity` only. */
export function flagNames(key: string, def: ArgDef): string[] {
  const aliases = "alias" in def && def.alias !== undefined ? [def.alias].flat() : [];
  return [...aliases.map((letter) => `-${letter}`), `--${isOn(def) ? "no-" : ""}${kebab(key)}`];
}

/** What stands for a value in help: `FILE`, or `text|json|ndjson`. */
export function valueName(key: string, def: ArgDef): string {
  if (def.type === "positional") return def.valueHint ?? kebab(key).toUpperCase();
  return optionsOf(def)?.join("|") ?? def.valueHint ?? kebab(key).toUpperCase();
}

/** The values there are, or undefined where any will do. */
export function optionsOf(def: ArgDef): readonly string[] | undefined {
  return "options" in def ? def.options : undefined;
}

export function isRequired(def: ArgDef): boolean {
  if (def.default !== undefined) return false;
  return def.type === "positional" ? def.required !== false : def.required === true;
}

function isOn(def: ArgDef): boolean {
  return def.type === "boolean" && def.default === true;
}

/**
 * Checks a command line against its declaration and returns it in the one spelling that citty reads without
 * guessing: `--key=value` and `--key`, then `--`, then the positionals. citty alone would accept unknown
 * flags, ignore surplus positionals, read a missing value as empty and let the last of repeated flags win.
 *
 * Accepted: `--out FILE`, `--out=FILE`, `-o json`, `-ojson`, `-o=json`; `--` ends the flags; `-` is a
 * positional or a value; any other value that starts with `-` needs `=`. An empty value is refused, for that
 * is what an unset shell variable leaves. A last positional with a hint like `THREAD…` takes all that remain, with
 * spaces in between.
 * @throws SplError usage
 */
export function strictArgv(command: string, defs: ArgsDef, argv: readonly string[]): string[] {
  return new StrictReader(command, defs).read(argv);
}

class StrictReader {
  readonly #command: string;
  readonly #defs: [key: string, def: ArgDef][];
  readonly #flags = new Map<string, [key: string, def: ArgDef]>();
  /** By key, in citty's spelling. */
  readonly #given = new Map<string, string>();
  readonly #positionals: string[] = [];

  constructor(command: string, defs: ArgsDef) {
    this.#command = command;
    this.#defs = Object.entries(defs);
    for (const [key, def] of this.#defs) {
      if (def.type !== "positional")
        for (const name of flagNames(key, def)) this.#flags.set(name, [key, def]);
    }
  }

  read(argv: readonly string[]): string[] {
    for (let at = 0; at < argv.length; ) {
      const token = argv[at++]!;
      if (token === "--") {
        this.#positionals.push(...argv.slice(at));
        break;
      }
      if (isFlag(token)) at += this.#flag(token, argv[at]);
      else this.#positionals.push(token);
    }
    this.#checkFlags();
    this.#checkPositionals();
    return [...this.#given.values(), "--", ...this.#positionals];
  }

  /** Takes a flag and returns how many tokens behind it were its value. */
  #flag(token: string, next: string | undefined): 0 | 1 {
    const { name, attached } = splitFlag(token);
    const flag = this.#flags.get(name);
    if (flag === undefined) {
      const near = closest(name, this.#flags.keys());
      throw this.#wrong(`unknown flag ${name} for 'spl ${this.#command}'`, near && `did you mean ${near}?`);
    }
    const [key, def] = flag;
    if (this.#given.has(key)) throw this.#wrong(`${name} is given twice`);
    if (def.type === "boolean") {
      if (attached !== undefined) throw this.#wrong(`${name} takes no value`);
      this.#given.set(key, isOn(def) ? `--no-${key}` : `--${key}`);
      return 0;
    }
    const value = attached ?? (next !== undefined && isFlag(next) ? "" : next);
    if (!value) throw this.#wrong(`${name} needs a value`, `type ${name} ${valueName(key, def)}`);
    this.#checkOption(name, def, value);
    this.#given.set(key, `--${key}=${value}`);
    return attached === undefined ? 1 : 0;
  }

  #checkFlags(): void {
    for (const [key, def] of this.#defs) {
      if (def.type === "positional" || !isRequired(def) || this.#given.has(key)) continue;
      const name = flagNames(key, def).at(-1)!;
      throw this.#wrong(`${name} is missing`, `type ${name} ${valueName(key, def)}`);
    }
  }

  #checkPositionals(): void {
    const declared = this.#defs.filter(([, def]) => def.type === "positional");
    const rest = this.#positionals.slice(declared.length - 1);
    if (rest.length > 1 && takesRest(declared.at(-1)) && !rest.includes(""))
      this.#positionals.splice(declared.length - 1, rest.length, rest.join(" "));
    for (const [at, [key, def]] of declared.entries()) {
      const name = valueName(key, def);
      const value = this.#positionals[at];
      if (value === undefined) {
        if (isRequired(def)) throw this.#wrong(`${name} is missing`);
      } else {
        if (value === "") throw this.#wrong(`${name} is empty`);
        this.#checkOption(name, def, value);
      }
    }
    const surplus = this.#positionals[declared.length];
    if (surplus !== undefined)
      throw this.#wrong(`unexpected argument '${surplus}' for 'spl ${this.#command}'`);
  }

  #checkOption(name: string, def: ArgDef, value: string): void {
    const options = optionsOf(def);
    if (options && !options.includes(value)) {
      throw this.#wrong(`${name} must be one of ${options.join(", ")}, not '${value}'`);
    }
  }

  #wrong(message: string, hint = `see 'spl ${this.#command} --help'`): SplError {
    return new SplError("usage", message, { hint });
  }
}

function takesRest(positional: [key: string, def: ArgDef] | undefined): boolean {
  return positional?.[1].valueHint?.endsWith("…") === true;
}

function isFlag(token: string): boolean {
  return token.startsWith("-") && token !== "-";
}

/** `--out=x` → name and value; `-ojson` and `-o=json` likewise. */
function splitFlag(token: string): { name: string; attached: string | undefined } {
  const end = token.startsWith("--") ? token.indexOf("=") : token.length > 2 ? 2 : -1;
  if (end < 0) return { name: token, attached: undefined };
  return { name: token.slice(0, end), attached: token.slice(end).replace(/^=/, "") };
}
