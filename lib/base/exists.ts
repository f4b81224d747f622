import { statSync } from "node:fs";
import { fileError, systemCode } from "./errors.ts";

/**
 * Whether something is at `path`, behind links if need be. What may not be looked at is an error, never an absence:
 * an instance that cannot be seen is not an instance that is not there.
 * @throws SplError file_unreadable
 */
export function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if (systemCode(error) === "ENOTDIR") return false;
    throw fileError(error, "read", path);
  }
}
