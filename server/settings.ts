import { readFileSync } from "node:fs";
import { z } from "zod";
import { fileError, SplError, systemCode } from "../lib/base/errors.ts";
import { parseToml } from "../lib/base/toml.ts";
import { readBaseUrl } from "../lib/client/config.ts";

/** What belongs to this host and never travels: the home's `config.toml`. Flags of `spl serve` come before it. */
export interface Settings {
  /** Address to bind. */
  host: string;
  port: number;
  /** Where the instance is reached from elsewhere, or null for the bound address. */
  publicUrl: string | null;
}

export const DEFAULT_HOST = "127.0.0.1";
export const DEFAULT_PORT = 9100;

const File = z.strictObject({
  listen: z
    .strictObject({ host: z.string().min(1).optional(), port: z.int().min(0).max(65535).optional() })
    .optional(),
  public_url: z.string().optional(),
});

/** @throws SplError usage naming the key that is wrong, file_unreadable */
export function readSettings(path: string): Settings {
  const result = File.safeParse(readToml(path));
  if (!result.success) {
    const [issue] = result.error.issues;
    const where = issue!.path.length === 0 ? "" : `${issue!.path.join(".")}: `;
    throw new SplError("usage", `${path}: ${where}${issue!.message}`, { hint: "mend it with an editor" });
  }
  const { listen = {}, public_url } = result.data;
  return {
    host: listen.host ?? DEFAULT_HOST,
    port: listen.port ?? DEFAULT_PORT,
    publicUrl: public_url === undefined ? null : readBaseUrl(public_url, `public_url in ${path}`),
  };
}

function readToml(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return {};
    throw fileError(error, "read", path);
  }
  return parseToml(text, path);
}
