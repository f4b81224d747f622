import type { ArgDef, ArgsDef, CommandDef } from "citty";
import type { Context } from "./_context.ts";

type Value<A extends ArgDef> = A["type"] extends "boolean"
  ? boolean
  : A extends { options: readonly (infer O)[] }
    ? O
    : string;

type Given<A extends ArgDef> = A["type"] extends "boolean"
  ? true
  : A extends { default: string }
    ? true
    : A["type"] extends "positional"
      ? A extends { required: false }
        ? false
        : true
      : A extends { required: true }
        ? true
        : false;

/** What `run` gets: one property per declared argument, undefined where an optional one is absent. */
export type ArgValues<T extends ArgsDef> = {
  readonly [K in keyof T]: Given<T[K]> extends true ? Value<T[K]> : Value<T[K]> | undefined;
};

export interface CommandSpec<T extends ArgsDef> {
  /** As typed behind `spl`: `export`, `thread list`. */
  name: string;
  /** One line without full stop, for overviews and completion. */
  summary: string;
  /** What the summary leaves open; lines of at most 100 characters. */
  description?: string;
  /** In camel case; `forceOverwrite` is typed `--force-overwrite`. `default: true` declares `--no-…`. */
  args?: T;
  /** Whole command lines. */
  examples?: readonly string[];
  /** What its exit statuses say, where that is not what `EXIT_STATUSES` does. */
  exits?: readonly string[];
  run(ctx: Context, args: ArgValues<T>): Promise<void>;
}

/** A citty command that carries what help and completion need. */
export interface SplCommand extends CommandDef {
  readonly name: string;
  readonly summary: string;
  readonly description: string | undefined;
  readonly flags: ArgsDef;
  readonly examples: readonly string[];
  readonly exits: readonly string[] | undefined;
}
