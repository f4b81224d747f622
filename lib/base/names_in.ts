import { readdirSync } from "node:fs";
import { fileError, systemCode } from "./errors.ts";

/** Names of what is in a folder, sorted; none where there is no folder. @throws SplError file_unreadable */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw fileError(error, "read", folder);
  }
}
