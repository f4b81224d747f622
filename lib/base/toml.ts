import { readFileSync } from "node:fs";
import { parse } from "smol-toml";
import { fileError, SplError, systemCode } from "./errors.ts";

/**
 * A TOML document as a table.
 * @param path where the text is from, for the error
 * @throws SplError usage, with the line that is wrong
 */
export function parseToml(text: string, path: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new SplError("usage", `${path} is not TOML: ${reason}`, {
      hint: "mend it with an editor",
      cause: error,
    });
  }
}

/**
 * The table in a file; an empty one where there is no file.
 * @throws SplError usage, file_unreadable
 */
export function readToml(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    // A home that cannot be one is said by what makes it.
    if (/^(?:ENOENT|ENOTDIR)$/.test(systemCode(error) ?? "")) return {};
    throw fileError(error, "read", path);
  }
  return parseToml(text, path);
}
