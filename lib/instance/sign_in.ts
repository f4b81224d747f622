import { toHex } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import type { Account, Reader, Token } from "../store/types.ts";
import type { Instance } from "./instance.ts";
import type { Caller } from "./scopes.ts";
import { describeToken, tokenHash } from "./tokens.ts";

/** Last use is worth one write a minute, not one a request. */
const TOUCH_MS = 60_000;
/** Uses that follow each other within this time are one sign-in in the audit table. */
const SIGN_IN_MS = 60 * 60 * 1000;

export interface SignedIn {
  account: Account;
  token: Token;
}

/**
 * The account behind a bearer token. The look-up is by the token's hash, so its time tells nothing about the secret.
 * Whoever holds the secret of a token that is no longer good is told why; anyone else gets one answer.
 * @param remote the caller's address for the audit table
 * @throws SplError unauthorized, with `account` and `state` when the secret was right; bootstrap_spent
 */
export async function signIn(instance: Instance, bearer: string, remote: string | null): Promise<SignedIn> {
  const { account, token } = await findToken(instance, bearer);
  const now = instance.ports.clock();
  // A bootstrap token has one use, which is the trade.
  if (token.kind === "bootstrap") return { account, token };
  if (token.lastUsedAt === null || now - token.lastUsedAt >= TOUCH_MS)
    noteUse(instance, { account, token }, now, remote);
  return { account, token };
}

async function findToken(instance: Instance, bearer: string): Promise<SignedIn> {
  const found = await instance.store.read((reader) => reader.token(tokenHash(bearer)));
  if (!found) {
    throw new SplError("unauthorized", "the token is unknown here", {
      hint: "spl token show-source says which token was sent; ask the instance's operator for another",
    });
  }
  const { state } = describeToken(found.token, found.account, instance.ports.clock());
  if (state === "active") return found;
  if (found.token.kind === "bootstrap") throw bootstrapSpent();
  throw new SplError(
    "unauthorized",
    state === "expired" ? "the token has expired" : "the token was revoked",
    {
      hint: "ask the instance's operator for another, then spl token save TOKEN",
      detail: { account: found.account.name, state },
    },
  );
}

/** Whether a caller who signed in with `token` may still do all that he could then. */
export async function keepsRights(
  reader: Reader,
  { scopes, actors }: Caller,
  token: Token,
  now: number,
): Promise<boolean> {
  const found = await reader.token(token.hash);
  if (!found || describeToken(found.token, found.account, now).state !== "active") return false;
  const { account } = found;
  return scopes.every((scope) => account.scopes.includes(scope)) && account.actors.join() === actors.join();
}

/** Cause and cure as the journey's troubleshooting table has them. */
export function bootstrapSpent(): SplError {
  return new SplError(
    "bootstrap_spent",
    "the bootstrap token has already been used or has expired (it lives for 1 hour)",
    {
      hint: 'sign back into the instance\'s first-run page and use "regenerate bootstrap token", or run spl service-account create --bootstrap --with-token from a paired device',
    },
  );
}

/** Tokens whose use is being written down, so that a busy store gathers one note of each. */
const noting = new Set<string>();

/**
 * Not awaited: an import that commits holds the writer for seconds, and nobody should wait for the note of his
 * own use. One that fails is made again by the next request.
 */
function noteUse(instance: Instance, { account, token }: SignedIn, now: number, remote: string | null): void {
  const key = toHex(token.hash);
  if (noting.has(key)) return;
  noting.add(key);
  instance.store
    .transact(async (writer) => {
      await writer.touchToken(token.hash, now);
      if (token.lastUsedAt === null || now - token.lastUsedAt >= SIGN_IN_MS)
        await writer.addAudit(now, "sign-in", { account: account.name, kind: account.kind, remote });
    })
    .catch(() => undefined)
    .finally(() => noting.delete(key));
}
