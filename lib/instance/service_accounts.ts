import { SplError } from "../base/errors.ts";
import type { Account, Writer } from "../store/types.ts";
import { type AccountView, accountView, addAccount, type NewAccount, requireAccount } from "./accounts.ts";
import type { Instance } from "./instance.ts";
import { describeToken, mint, type TokenView, type Validity } from "./tokens.ts";

/** Accounts together with their tokens. */

export interface CreatedAccount extends AccountView {
  /** Null unless one was asked for; shown this once. */
  token: string | null;
}

/** @param token how the first token is to be, or null for none */
export function createAccount(
  instance: Instance,
  fields: NewAccount,
  token: Validity | null,
): Promise<CreatedAccount> {
  return instance.store.transact(async (writer) =>
    withToken(instance, writer, await addAccount(instance, writer, fields), token),
  );
}

/**
 * Makes the first account of an instance that has none, with all rights. Of many at once one succeeds.
 * @throws SplError conflict when there is, or was, any account: a seeded bootstrap token has one
 */
export function bootstrapAccount(
  instance: Instance,
  fields: Omit<NewAccount, "kind" | "scopes">,
  token: Validity | null,
): Promise<CreatedAccount> {
  return instance.store.transact(async (writer) => {
    if ((await writer.accounts()).length > 0) {
      throw new SplError("conflict", "this instance has been bootstrapped already", {
        hint: "spl service-account create --name NAME --scopes admin --with-token makes another account",
      });
    }
    const account = await addAccount(instance, writer, { ...fields, kind: "service", scopes: ["admin"] });
    return withToken(instance, writer, account, token);
  });
}

async function withToken(
  instance: Instance,
  writer: Writer,
  account: Account,
  validity: Validity | null,
): Promise<CreatedAccount> {
  const minted = validity && (await mint(instance, writer, account, validity));
  return { ...accountView(account), token: minted?.token ?? null };
}

/** @throws SplError not_found */
export function describeAccount(
  instance: Instance,
  name: string,
): Promise<AccountView & { tokens: TokenView[] }> {
  return instance.store.read(async (reader) => {
    const account = await requireAccount(reader, name);
    const now = instance.ports.clock();
    const tokens = (await reader.tokens(name)).sort((a, b) => a.createdAt - b.createdAt);
    return { ...accountView(account), tokens: tokens.map((token) => describeToken(token, account, now)) };
  });
}
