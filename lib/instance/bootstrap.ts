import { constantTimeEqual } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import type { Account, Writer } from "../store/types.ts";
import { addAccount, freeName } from "./accounts.ts";
import type { Instance } from "./instance.ts";
import { type Caller, requireWithin } from "./scopes.ts";
import { bootstrapSpent } from "./sign_in.ts";
import { addToken, describeToken, type MintedToken, mint, type TokenView, tokenHash } from "./tokens.ts";

/**
 * Bootstrap tokens: one hour, one use (spec, section 7). The holder makes the lasting token first and trades the
 * bootstrap token for it, so that an answer that is lost can be asked for again.
 */

const ACCOUNT = "bootstrap";

/**
 * Makes the bootstrap token that a hoster chose; those before it that nobody used are void from now on. One that is
 * known already, spent or not, stays as it is: a machine that starts again with the same setting opens nothing.
 * @param hash SHA-256 of the token
 */
export function seedBootstrap(instance: Instance, hash: Uint8Array): Promise<void> {
  return instance.store.transact(async (writer) => {
    if (await writer.token(hash)) return;
    const account = await firstAccount(instance, writer);
    await voidBootstrap(instance, writer, account);
    await addToken(instance, writer, account, hash, {}, "bootstrap");
  });
}

/**
 * Mints another bootstrap token; those before it that nobody used are void from now on.
 * @throws SplError forbidden for a caller who speaks for some actors only: it would give all rights
 */
export function mintBootstrap(instance: Instance, caller: Caller): Promise<MintedToken> {
  return instance.store.transact(async (writer) => {
    const account = await firstAccount(instance, writer);
    requireWithin(caller, account);
    await voidBootstrap(instance, writer, account);
    return mint(instance, writer, account, { by: caller.account }, "bootstrap");
  });
}

/**
 * Trades a bootstrap token for the bearer token with the hash `lasting`. The same trade again answers the same.
 * @throws SplError unauthorized, bootstrap_spent; invalid_request when the token is no bootstrap token
 */
export function tradeBootstrap(instance: Instance, bearer: string, lasting: Uint8Array): Promise<TokenView> {
  const hash = tokenHash(bearer);
  return instance.store.transact(async (writer) => {
    const found = await writer.token(hash);
    if (!found) {
      throw new SplError("unauthorized", "the token is unknown here", {
        hint: "copy the whole token again; it begins with spl_",
      });
    }
    const { token, account } = found;
    if (token.kind !== "bootstrap") {
      throw new SplError("invalid_request", "the token is no bootstrap token; it needs no trade");
    }
    const now = instance.ports.clock();
    const { state } = describeToken(token, account, now);
    if (state === "spent" && constantTimeEqual(token.tradedFor!, lasting)) {
      const traded = (await writer.token(lasting))!;
      const view = describeToken(traded.token, account, now);
      if (view.state === "active") return view;
    }
    if (state !== "active") throw bootstrapSpent();
    await writer.spendToken(hash, lasting);
    return addToken(
      instance,
      writer,
      account,
      lasting,
      { description: "traded for a bootstrap token", by: account.name },
      "bearer",
    );
  });
}

/** Makes the bootstrap tokens of the account void. */
async function voidBootstrap(instance: Instance, writer: Writer, account: Account): Promise<void> {
  const now = instance.ports.clock();
  for (const { hash, kind } of await writer.tokens(account.name))
    if (kind === "bootstrap") await writer.revokeToken(hash, now);
}

/** The account that bootstrap tokens open. */
async function firstAccount(instance: Instance, writer: Writer): Promise<Account> {
  const accounts = await writer.accounts();
  const kept = accounts.find(({ kind, revokedAt }) => kind === "bootstrap" && revokedAt === null);
  if (kept) return kept;
  const name = await freeName(writer, ACCOUNT);
  return addAccount(instance, writer, { name, kind: "bootstrap", scopes: ["admin"] });
}
