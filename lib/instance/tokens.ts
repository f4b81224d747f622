import { toBase64Url, toHex, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";
import type { Account } from "../store/types.ts";
import type { Instance } from "./instance.ts";

/** Plain scopes (spec, section 7). Beside them there are the grains `thread:<id>:read` and `thread:<id>:write`. */
export const SCOPES = [
  "records:read",
  "records:write",
  "threads:write",
  "federation:manage",
  "config:read",
  "config:write",
  "admin",
] as const;

const GRAIN = /^thread:th_[A-Za-z0-9_-]{1,128}:(read|write)$/;
const ACCOUNT_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
const SECRET_BYTES = 32;
/** Last use is worth one write a minute, not one a request. */
const TOUCH_MS = 60_000;

export interface MintRequest {
  account: string;
  scopes: string[];
  /** Actors this account may speak for; empty means any. */
  actors?: string[];
  description?: string;
  /** Unix milliseconds, or null for no expiry. */
  expiresAt?: number | null;
}

export interface MintedToken {
  /** `spl_<env>_<account>_<secret>`: shown once, only its SHA-256 is kept. */
  token: string;
  account: string;
  scopes: string[];
}

/**
 * Mints a token for a service account, which is made when it does not exist.
 * @throws SplError invalid_request for a bad name or scope; conflict when the account exists with other scopes
 */
export function mintToken(instance: Instance, request: MintRequest): Promise<MintedToken> {
  const { account: name, description = "", expiresAt = null } = request;
  if (!ACCOUNT_NAME.test(name)) {
    throw new SplError("invalid_request", `an account's name is 1 to 64 of a-z, 0-9 and -, not "${name}"`);
  }
  for (const scope of request.scopes) {
    if (!(SCOPES as readonly string[]).includes(scope) && !GRAIN.test(scope)) {
      throw new SplError("invalid_request", `there is no scope "${scope}"`, {
        hint: `scopes: ${SCOPES.join(" ")}`,
      });
    }
  }
  const scopes = [...new Set(request.scopes)].sort();
  const account: Account = {
    name,
    scopes,
    actors: [...new Set(request.actors ?? [])].sort(),
    kind: "service",
  };
  return instance.store.transact(async (writer) => {
    if (!(await writer.addAccount(account))) {
      const existing = (await writer.accounts()).find((each) => each.name === name)!;
      if (existing.scopes.join() !== scopes.join()) {
        throw new SplError(
          "conflict",
          `the account ${name} exists with other scopes: ${existing.scopes.join(" ")}`,
          {
            hint: "name these scopes, or another account",
          },
        );
      }
    }
    const token = `spl_live_${name}_${toBase64Url(instance.ports.random(SECRET_BYTES))}`;
    const at = instance.ports.clock();
    await writer.addToken({
      hash: sha256.hash(utf8(token)),
      account: name,
      description,
      createdAt: at,
      expiresAt,
      lastUsedAt: null,
    });
    await writer.addAudit(at, "token.mint", { account: name, scopes: scopes.join(" ") });
    return { token, account: name, scopes };
  });
}

/**
 * The account behind a bearer token, or null when it is unknown or expired. The look-up is by the token's
 * hash, so its time tells nothing about the secret.
 */
export async function authenticate(instance: Instance, token: string): Promise<Account | null> {
  const hash = sha256.hash(utf8(token));
  const found = await instance.store.read((reader) => reader.token(hash));
  const now = instance.ports.clock();
  if (!found || (found.token.expiresAt !== null && found.token.expiresAt <= now)) return null;
  if (now - (found.token.lastUsedAt ?? 0) >= TOUCH_MS) noteUse(instance, hash, now);
  return found.account;
}

/** Tokens whose use is being written down, so that a busy store gathers one note of each. */
const noting = new Set<string>();

/**
 * Not awaited: an import that commits holds the writer for seconds, and nobody should wait for the note of his
 * own use. One that fails is made again by the next request.
 */
function noteUse(instance: Instance, hash: Uint8Array, now: number): void {
  const key = toHex(hash);
  if (noting.has(key)) return;
  noting.add(key);
  instance.store
    .transact((writer) => writer.touchToken(hash, now))
    .catch(() => undefined)
    .finally(() => noting.delete(key));
}
