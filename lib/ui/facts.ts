import { safeText } from "../base/safe_text.ts";

/** A name and what is to be said of it; stored text may be given as it is. */
export type Fact = readonly [name: string, value: string | number];

/** Facts one a line, indented and aligned behind their names, each line ended by a line feed. */
export function renderFacts(facts: readonly Fact[]): string {
  const width = Math.max(...facts.map(([name]) => name.length)) + 1;
  return facts.map(([name, value]) => `  ${`${name}:`.padEnd(width)}  ${safeText(String(value))}\n`).join("");
}
