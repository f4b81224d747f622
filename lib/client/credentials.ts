import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileError, SplError, systemCode } from "../base/errors.ts";
import { configDirectory, type Env } from "./config.ts";

/**
 * The token saved for a base URL, or null. `credentials.json` beside the config maps base URLs to tokens; a token is
 * only ever sent to where it was saved for.
 * @throws SplError key_permissions when others may read the file; usage when it is no such map
 */
export function savedToken(env: Env, url: string): string | null {
  const path = join(configDirectory(env), "credentials.json");
  let text: string;
  try {
    if ((statSync(path).mode & 0o077) !== 0) {
      throw new SplError("key_permissions", `${path} can be read by others`, { hint: `chmod 600 ${path}` });
    }
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw fileError(error, "read", path);
  }
  const token = parseMap(text, path)[url];
  return typeof token === "string" ? token : null;
}

function parseMap(text: string, path: string): Record<string, unknown> {
  try {
    const map: unknown = JSON.parse(text);
    if (typeof map === "object" && map !== null && !Array.isArray(map)) return map as Record<string, unknown>;
  } catch {
    // falls through to the one refusal below
  }
  throw new SplError("usage", `${path} is not a JSON object of base URLs and tokens`, {
    hint: "move it away and save your tokens again",
  });
}
