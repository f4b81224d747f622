import type { ArgsDef } from "citty";
import type { SplCommand } from "./_command.ts";
import { EXIT_STATUSES } from "./_exit.ts";
import { flagNames, isRequired, valueName } from "./_strict.ts";

/** Two columns, the second aligned. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const width = rows.reduce((most, [left]) => Math.max(most, left.length), 0);
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd()).join("\n");
}

/** A heading with what belongs to it, or nothing. */
export function block(title: string, rows: readonly (readonly [string, string])[]): string {
  return rows.length === 0 ? "" : `\n${title}:\n${columns(rows)}\n`;
}

/** `spl export [PATH] --to DIR [flags]` */
function usage(command: SplCommand): string {
  const words = ["spl", command.name];
  for (const [key, def] of Object.entries(command.flags)) {
    if (def.type === "positional") {
      const name = valueName(key, def);
      words.push(isRequired(def) ? name : `[${name}]`);
    } else if (isRequired(def)) words.push(`${flagNames(key, def).at(-1)} ${valueName(key, def)}`);
  }
  return [...words, "[flags]"].join(" ");
}

function positionalRows(defs: ArgsDef): [string, string][] {
  return Object.entries(defs)
    .filter(([, def]) => def.type === "positional")
    .map(([key, def]) => [valueName(key, def), def.description ?? ""]);
}

function flagRows(defs: ArgsDef): [string, string][] {
  return Object.entries(defs)
    .filter(([, def]) => def.type !== "positional")
    .map(([key, def]) => {
      const names = flagNames(key, def);
      const label = names.length === 1 ? `    ${names[0]}` : names.join(", ");
      const fallback = typeof def.default === "string" ? ` (default ${def.default})` : "";
      return [
        def.type === "boolean" ? label : `${label} ${valueName(key, def)}`,
        `${def.description ?? ""}${fallback}`,
      ];
    });
}

/** What `spl export --help` prints. */
export function commandHelp(command: SplCommand): string {
  return [
    `${command.summary}\n`,
    `\nUsage: ${usage(command)}\n`,
    command.description === undefined ? "" : `\n${command.description}\n`,
    block("Arguments", positionalRows(command.flags)),
    block("Flags", flagRows(command.flags)),
    block(
      "Examples",
      command.examples.map((line) => [line, ""] as const),
    ),
    `\nExit status: ${(command.exits ?? EXIT_STATUSES).join(", ")}\n`,
  ].join("");
}
