import { Database } from "bun:sqlite";
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic_file.ts";
import { utf8 } from "../base/bytes.ts";
import { fileError, SplError, systemCode } from "../base/errors.ts";
import { shellWord } from "../base/text.ts";
import { configDirectory, type Env } from "./config.ts";

/**
 * `credentials.json` beside the config (spec, section 6): per base URL, origin and path, the token that is sent there
 * and nowhere else, and a trade that has not been answered yet.
 */
type Credentials = Record<string, Credential>;

interface Credential {
  token?: string;
  pending?: PendingTrade;
}

/** A lasting token that is on its way to be traded for a bootstrap token. */
export interface PendingTrade {
  token: string;
  /** SHA-256 of the bootstrap token, lowercase hex. */
  bootstrap: string;
}

/** How long another `spl` may take to write the file. */
const LOCK_MS = 5000;

export function credentialsPath(env: Env): string {
  return join(configDirectory(env), "credentials.json");
}

/**
 * The token saved for a base URL, as `readBaseUrl` returns it, or null.
 * @throws SplError key_permissions when others may read the file; usage when it is damaged; file_unreadable
 */
export function savedToken(env: Env, url: string): string | null {
  return readCredentials(env)[url]?.token ?? null;
}

/** @throws SplError as `savedToken` */
export function pendingTrade(env: Env, url: string): PendingTrade | null {
  return readCredentials(env)[url]?.pending ?? null;
}

/**
 * Saves the token for a base URL in place of the one before it; a trade that was pending there is over.
 * @throws SplError as `savedToken`; disk_full, in which case nothing has changed
 */
export function saveToken(env: Env, url: string, token: string): void {
  change(env, url, () => ({ token }));
}

/** Keeps a trade, or that there is none any more; the token saved for the URL stays. @throws SplError as `saveToken` */
export function setPendingTrade(env: Env, url: string, pending: PendingTrade | null): void {
  change(env, url, ({ pending: _, ...kept }) => (pending === null ? kept : { ...kept, pending }));
}

/** Whether there was anything to forget: a token, or a trade. @throws SplError as `saveToken` */
export function forgetToken(env: Env, url: string): boolean {
  if (readCredentials(env)[url] === undefined) return false;
  change(env, url, () => ({}));
  return true;
}

/**
 * A token as it may be shown: kind and account, none of the secret. Nothing of one that was made elsewhere, which may
 * have its secret anywhere.
 */
export function maskToken(token: string): string {
  return `${/^(spl_(?:live|boot)_[a-z0-9-]{1,64}_)[A-Za-z0-9_-]{43}$/.exec(token)?.[1] ?? ""}…`;
}

/** Replaces what is kept for one URL in the file as it is now, so that two who change it at once lose nothing. */
function change(env: Env, url: string, edit: (before: Credential) => Credential): void {
  const directory = configDirectory(env);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileError(error, "create", directory);
  }
  using _lock = takeLock(join(directory, "credentials.lock"));
  const { [url]: before = {}, ...others } = readCredentials(env);
  const after = edit(before);
  const all = Object.keys(after).length === 0 ? others : { ...others, [url]: after };
  writeFileAtomic(credentialsPath(env), utf8(`${JSON.stringify(all, null, 2)}\n`));
}

/** SQLite's lock on an otherwise empty file: the kernel frees it with the process, however that ends. */
function takeLock(path: string): Disposable {
  let db: Database | undefined;
  try {
    closeSync(openSync(path, "a", 0o600));
    db = new Database(path, { create: false, readwrite: true });
    db.run("PRAGMA journal_mode = MEMORY");
    db.run(`PRAGMA busy_timeout = ${LOCK_MS}`);
    db.run("BEGIN IMMEDIATE");
  } catch (error) {
    db?.close();
    throw fileError(error, "lock", path);
  }
  return { [Symbol.dispose]: () => db.close() };
}

function readCredentials(env: Env): Credentials {
  const path = credentialsPath(env);
  let text: string;
  try {
    if ((statSync(path).mode & 0o077) !== 0) {
      throw new SplError("key_permissions", `${path} can be read by others`, {
        hint: `chmod 600 ${shellWord(path)}`,
      });
    }
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return {};
    throw fileError(error, "read", path);
  }
  const credentials = parse(text);
  if (credentials !== null) return credentials;
  throw new SplError("usage", `${path} is not a JSON object of base URLs and tokens`, {
    hint: "move it away and save your tokens again",
  });
}

/** Null for what this program never wrote. */
function parse(text: string): Credentials | null {
  let all: unknown;
  try {
    all = JSON.parse(text);
  } catch {
    return null;
  }
  return isObject(all) && Object.values(all).every(isCredential) ? (all as Credentials) : null;
}

function isCredential(value: unknown): value is Credential {
  if (!isObject(value)) return false;
  const { token, pending } = value;
  if (token !== undefined && typeof token !== "string") return false;
  if (pending === undefined) return true;
  return isObject(pending) && typeof pending.token === "string" && typeof pending.bootstrap === "string";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
