import { toBase64Url, toHex, utf8 } from "../base/bytes.ts";
import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { BOOTSTRAP_MS } from "../base/limits.ts";
import { sha256 } from "../base/sha256.ts";
import type { Account, Reader, Token, Writer } from "../store/types.ts";
import { addAccount, requireAccount } from "./accounts.ts";
import type { Instance } from "./instance.ts";
import { type Caller, parseScopes, requireWithin } from "./scopes.ts";

const SECRET_BYTES = 32;

export interface Validity {
  description?: string;
  /** Unix milliseconds, or null for no expiry; a bootstrap token lives for its hour. */
  expiresAt?: number | null;
  /** Who makes it, for the audit table. */
  by?: string;
}

export interface TokenView {
  /** `tok_` and 12 hex of the token's hash: names it without being it. */
  id: string;
  account: string;
  kind: Token["kind"];
  scopes: string[];
  actors: string[];
  description: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  state: "active" | "expired" | "revoked" | "spent";
}

export interface MintedToken extends TokenView {
  /** `spl_<env>_<account>_<secret>`: shown once, only its SHA-256 is kept. */
  token: string;
}

/** What is compared and stored instead of the token. */
export function tokenHash(token: string): Uint8Array {
  return sha256.hash(utf8(token));
}

/**
 * Mints a bearer token inside the caller's transaction.
 * @throws SplError conflict when the account is revoked; invalid_request for an expiry that has passed
 */
export async function mint(
  instance: Instance,
  writer: Writer,
  account: Account,
  validity: Validity,
  kind: Token["kind"] = "bearer",
): Promise<MintedToken> {
  if (account.revokedAt !== null) {
    throw new SplError("conflict", `the account ${account.name} was revoked`, {
      hint: "spl service-account list shows those that are not",
    });
  }
  const env = kind === "bearer" ? "live" : "boot";
  const token = `spl_${env}_${account.name}_${toBase64Url(instance.ports.random(SECRET_BYTES))}`;
  return { token, ...(await addToken(instance, writer, account, tokenHash(token), validity, kind)) };
}

/** Makes a token of which only the hash is known here: its holder made it. */
export async function addToken(
  instance: Instance,
  writer: Writer,
  account: Account,
  hash: Uint8Array,
  { description = "", expiresAt: wanted = null, by }: Validity,
  kind: Token["kind"],
): Promise<TokenView> {
  const now = instance.ports.clock();
  const expiresAt = kind === "bootstrap" ? now + BOOTSTRAP_MS : wanted;
  if (expiresAt !== null && expiresAt <= now) {
    throw new SplError("invalid_request", "the token would have expired already", {
      hint: "name a time to come",
    });
  }
  const row: Token = {
    hash,
    account: account.name,
    description,
    createdAt: now,
    expiresAt,
    lastUsedAt: null,
    kind,
    revokedAt: null,
    tradedFor: null,
  };
  if (!(await writer.addToken(row))) throw new SplError("conflict", "this token is known here already");
  const view = describeToken(row, account, now);
  await writer.addAudit(now, "token.mint", {
    token: view.id,
    account: account.name,
    kind,
    by: by ?? null,
  });
  return view;
}

/**
 * Mints a token for a service account, which is made when it does not exist and `scopes` are named.
 * @throws SplError conflict when it exists with other scopes or was revoked; not_found; forbidden when the caller has
 * less than the account; what `addAccount` throws
 */
export function mintToken(
  instance: Instance,
  request: Validity & {
    account: string;
    scopes?: readonly string[] | undefined;
    actors?: readonly string[] | undefined;
  },
  caller: Caller,
): Promise<MintedToken> {
  const { account: name, scopes, actors = caller.actors } = request;
  const by = caller.account;
  return instance.store.transact(async (writer) => {
    const known = await writer.account(name);
    if (!known && scopes) {
      requireWithin(caller, { scopes, actors });
      const account = await addAccount(instance, writer, { name, kind: "service", scopes, actors, by });
      return mint(instance, writer, account, { ...request, by });
    }
    const account = known ?? (await requireAccount(writer, name));
    if (scopes && account.scopes.join() !== parseScopes(scopes).join()) {
      throw new SplError(
        "conflict",
        `the account ${name} exists with other scopes: ${account.scopes.join(" ")}`,
        { hint: "leave out the scopes, or name another account" },
      );
    }
    requireWithin(caller, account);
    return mint(instance, writer, account, { ...request, by });
  });
}

/** Oldest first. */
export function listTokens(instance: Instance): Promise<TokenView[]> {
  return instance.store.read(async (reader) => {
    const accounts = new Map((await reader.accounts()).map((account) => [account.name, account]));
    const now = instance.ports.clock();
    return (await reader.tokens())
      .sort((a, b) => a.createdAt - b.createdAt)
      .map((token) => describeToken(token, accounts.get(token.account)!, now));
  });
}

/** The token that a caller signed in with. @throws SplError not_found */
export function ownToken(instance: Instance, { hash }: Token): Promise<TokenView> {
  return instance.store.read(async (reader) => {
    const found = await reader.token(hash);
    if (found) return describeToken(found.token, found.account, instance.ports.clock());
    throw new SplError("not_found", "the token is unknown here");
  });
}

/** @throws SplError not_found */
export function tokenInfo(instance: Instance, id: string): Promise<TokenView> {
  return instance.store.read(async (reader) => {
    const { token, account } = await requireToken(reader, id);
    return describeToken(token, account, instance.ports.clock());
  });
}

/**
 * A new secret in place of the old one, which is void from now on.
 * @throws SplError not_found, conflict; forbidden when the caller has less than the token's account
 */
export function rotateToken(instance: Instance, id: string, caller: Caller): Promise<MintedToken> {
  return instance.store.transact(async (writer) => {
    const { token, account } = await requireToken(writer, id);
    requireWithin(caller, account);
    const { state } = describeToken(token, account, instance.ports.clock());
    if (state !== "active" || token.kind !== "bearer") {
      throw new SplError("conflict", `the token ${id} is ${state === "active" ? token.kind : state}`, {
        hint: "spl token create mints another",
      });
    }
    const now = instance.ports.clock();
    await writer.revokeToken(token.hash, now);
    await writer.addAudit(now, "token.revoke", { token: id, account: account.name, by: caller.account });
    return mint(instance, writer, account, { ...token, by: caller.account });
  });
}

/** Without effect on one that is revoked. @throws SplError not_found */
export function revokeToken(instance: Instance, id: string, caller: Caller): Promise<TokenView> {
  return instance.store.transact(async (writer) => {
    const { token, account } = await requireToken(writer, id);
    const now = instance.ports.clock();
    if (token.revokedAt === null) {
      await writer.revokeToken(token.hash, now);
      await writer.addAudit(now, "token.revoke", { token: id, account: account.name, by: caller.account });
    }
    return describeToken({ ...token, revokedAt: token.revokedAt ?? now }, account, now);
  });
}

async function requireToken(reader: Reader, id: string): Promise<{ token: Token; account: Account }> {
  const token = (await reader.tokens()).find(({ hash }) => tokenId(hash) === id);
  const account = token && (await reader.account(token.account));
  if (account) return { token, account };
  throw new SplError("not_found", `there is no token ${id}`, { hint: "spl token list shows all" });
}

/** `tok_` and 12 hex of the hash. */
export function tokenId(hash: Uint8Array): string {
  return `tok_${toHex(hash).slice(0, 12)}`;
}

export function describeToken(token: Token, account: Account, now: number): TokenView {
  const { scopes, actors } = account;
  return {
    id: tokenId(token.hash),
    account: account.name,
    kind: token.kind,
    scopes,
    actors,
    description: token.description,
    created_at: isoTime(token.createdAt),
    expires_at: token.expiresAt === null ? null : isoTime(token.expiresAt),
    last_used_at: token.lastUsedAt === null ? null : isoTime(token.lastUsedAt),
    state: stateOf(token, account, now),
  };
}

function stateOf(token: Token, account: Account, now: number): TokenView["state"] {
  if (token.revokedAt !== null || account.revokedAt !== null) return "revoked";
  if (token.tradedFor !== null) return "spent";
  return token.expiresAt !== null && token.expiresAt <= now ? "expired" : "active";
}
