import { parse } from "smol-toml";
import { SplError } from "./errors.ts";

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
