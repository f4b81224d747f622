import { mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { writeFileAtomic } from "../base/atomic_file.ts";
import { fromUtf8, utf8 } from "../base/bytes.ts";
import { fileError, SplError, systemCode } from "../base/errors.ts";
import { parseToml } from "../base/toml.ts";

/** Settings of the command line, apart from any instance (spec, section 6). Null where nothing is set. */
export interface Config {
  /** The instance to talk to when neither `--url` nor `SPL_SERVE_URL` names one; as `readBaseUrl` returns it. */
  default_url: string | null;
}

export type ConfigKey = keyof Config;
export type Env = Record<string, string | undefined>;

/** Checks a value and returns the form that is kept. */
const READERS: Record<ConfigKey, (value: string, origin: string) => string> = { default_url: readBaseUrl };

export const CONFIG_KEYS = Object.keys(READERS) as ConfigKey[];

/** `$XDG_CONFIG_HOME/syncropel`, else `~/.config/syncropel`. A relative XDG path is ignored, as its standard asks. */
export function configDirectory(env: Env): string {
  const xdg = env.XDG_CONFIG_HOME;
  const base = xdg !== undefined && isAbsolute(xdg) ? xdg : join(env.HOME || homedir(), ".config");
  return join(base, "syncropel");
}

export function configPath(env: Env): string {
  return join(configDirectory(env), "config.toml");
}

/**
 * The settings of `config.toml`; a missing file has none.
 * @throws SplError usage (not TOML, an unknown key, a wrong value), file_unreadable
 */
export function loadConfig(env: Env): Config {
  const path = configPath(env);
  return readConfig(readText(path), path);
}

/**
 * Sets one key, or removes it where `value` is null. Other lines, comments included, stay as they are.
 * The file is replaced atomically, mode 0600.
 * @throws SplError usage (wrong value, or a file that `loadConfig` refuses), disk_full, file_unreadable
 */
export function setConfig(env: Env, key: ConfigKey, value: string | null): Config {
  const path = configPath(env);
  const text = readText(path);
  const config = readConfig(text, path);
  const wanted = value === null ? null : READERS[key](value, key);
  const edited = config[key] === null ? appendLine(text, key, wanted) : replaceLine(text, key, wanted, path);
  try {
    mkdirSync(configDirectory(env), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileError(error, "create", configDirectory(env));
  }
  writeFileAtomic(path, utf8(edited));
  return { ...config, [key]: wanted };
}

/**
 * The address of an instance: http or https, with or without a path, without credentials, query and fragment.
 * @param origin where the text came from, for the error: `--url`, `SPL_SERVE_URL`, `default_url`
 * @returns origin and path, without a slash at the end
 * @throws SplError usage
 */
export function readBaseUrl(text: string, origin: string): string {
  const url = URL.parse(text);
  const wrong =
    url === null ||
    /\s/.test(text) ||
    (url.protocol !== "http:" && url.protocol !== "https:") ||
    url.hostname === ""
      ? "is no http or https URL"
      : url.username !== "" || url.password !== ""
        ? "must not hold a name or password"
        : url.search !== "" || url.hash !== ""
          ? "must not have a query or fragment"
          : null;
  if (url === null || wrong !== null) {
    throw new SplError("usage", `${origin} ${wrong}`, { hint: "write it like https://myteam.syncropel.com" });
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}

function readText(path: string): string {
  try {
    const text = fromUtf8(readFileSync(path));
    if (text !== null) return text;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "";
    throw fileError(error, "read", path);
  }
  throw new SplError("usage", `${path} is not UTF-8`, { hint: "mend it with an editor" });
}

function readConfig(text: string, path: string): Config {
  const config: Config = { default_url: null };
  for (const [key, value] of Object.entries(parseToml(text, path))) {
    const known = CONFIG_KEYS.find((candidate) => candidate === key);
    if (known === undefined) {
      throw new SplError("usage", `unknown key '${key}' in ${path}`, {
        hint: `known: ${CONFIG_KEYS.join(", ")}`,
      });
    }
    if (typeof value !== "string") {
      throw new SplError("usage", `${known} in ${path} is no text`, {
        hint: "mend it with an editor",
      });
    }
    config[known] = READERS[known](value, `${known} in ${path}`);
  }
  return config;
}

function appendLine(text: string, key: ConfigKey, value: string | null): string {
  if (value === null) return text;
  const line = `${key} = ${JSON.stringify(value)}\n`;
  return text === "" || text.endsWith("\n") ? text + line : `${text}\n${line}`;
}

/** Replaces the value of a key that is there, or removes its line. A comment behind the value stays with it. */
function replaceLine(text: string, key: ConfigKey, value: string | null, path: string): string {
  const there = new RegExp(
    `^([ \\t]*(["']?)${key}\\2[ \\t]*=[ \\t]*)(?:"(?!"")(?:[^"\\\\\\n]|\\\\.)*"|'(?!'')[^'\\n]*')(.*(?:\\n|$))`,
    "m",
  );
  if (!there.test(text)) {
    throw new SplError("usage", `cannot change ${key} in ${path}: its value spans lines`, {
      hint: "write it on one line with an editor",
    });
  }
  return text.replace(there, (_, before: string, _quote, behind: string) =>
    value === null ? "" : before + JSON.stringify(value) + behind,
  );
}
