import { fromHex, toHex, utf8 } from "../lib/base/bytes.ts";
import { SplError } from "../lib/base/errors.ts";
import { selfCommand } from "../lib/base/runtime.ts";
import { sha256 } from "../lib/base/sha256.ts";
import type { Env } from "../lib/ui/terminal.ts";

/**
 * The bootstrap token that a hoster chose for an instance: `SPL_BOOTSTRAP_TOKEN` holds it, or its SHA-256. The process
 * that stays knows only the hash, which opens nothing, in a variable of another name.
 */
const HANDED_ON = "SPL_BOOTSTRAP_SHA256";

// Characters of RFC 6750, section 2.1: what else there is could never be sent.
const TOKEN = /^spl_[A-Za-z0-9._~+/-]+=*$/;

/** The token's SHA-256, or null where none is named. @throws SplError usage, which does not repeat the value */
export function bootstrapHash(env: Env): Uint8Array | null {
  const value = env.SPL_BOOTSTRAP_TOKEN || env[HANDED_ON];
  if (!value) return null;
  const hash = TOKEN.test(value) ? sha256.hash(utf8(value)) : fromHex(value.toLowerCase(), 32);
  if (hash) return hash;
  throw new SplError("usage", "SPL_BOOTSTRAP_TOKEN is neither a token nor the SHA-256 of one", {
    hint: "a whole token begins with spl_; the SHA-256 of one is 64 hex digits",
  });
}

/** The environment for a process that stays: without the secrets of the shell that it was started from. */
export function stayingEnv(env: Env): Env {
  const hash = bootstrapHash(env);
  const { SPL_TOKEN: _token, SPL_PASSPHRASE: _phrase, SPL_BOOTSTRAP_TOKEN: _bootstrap, ...rest } = env;
  return hash === null ? rest : { ...rest, [HANDED_ON]: toHex(hash) };
}

/**
 * Becomes `spl` with these arguments, the same process under the same id, if a bootstrap token is in the environment
 * that it was started with: that one stays readable as long as the process runs (proc(5), `environ`).
 */
export function leaveBootstrapBehind(args: readonly string[], env: Env): void {
  if (!env.SPL_BOOTSTRAP_TOKEN) return;
  const command = selfCommand();
  const kept = Object.entries(stayingEnv(env)).filter(([, value]) => value !== undefined);
  process.execve!(command[0]!, [...command, ...args], Object.fromEntries(kept) as Record<string, string>);
}
