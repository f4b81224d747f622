import { EXIT_STATUSES } from "./_exit.ts";
import { block } from "./_help.ts";
import type { Load, Noun, Section } from "./_table.ts";

/** What `spl` alone prints. */
export async function overview(sections: readonly Section[]): Promise<string> {
  const blocks = await Promise.all(
    sections.map(async ({ title, commands }) =>
      block(title, await Promise.all(Object.entries(commands).map(([word, entry]) => row(word, entry)))),
    ),
  );
  return [
    "One binary for records that can leave: write, serve, export, import, prove\n",
    "\nUsage: spl COMMAND [flags]\n",
    ...blocks,
    "\nHelp on one command: spl help COMMAND, or spl COMMAND --help\n",
    `Exit status: ${EXIT_STATUSES.join(", ")}\n`,
  ].join("");
}

/** What `spl thread --help` prints. */
export async function nounHelp(word: string, noun: Noun): Promise<string> {
  const rows = await Promise.all(
    Object.entries(noun.verbs).map(([verb, load]) => row(`${word} ${verb}`, load)),
  );
  return `${noun.summary}\n\nUsage: spl ${word} ${Object.keys(noun.verbs).join("|")} [flags]\n${block("Commands", rows)}`;
}

async function row(words: string, entry: Load | Noun): Promise<[string, string]> {
  if (typeof entry === "function") return [words, (await entry()).default.summary];
  return [words, `${entry.summary}: ${Object.keys(entry.verbs).join(", ")}`];
}
