import { SplError } from "../base/errors.ts";
import type { Writer } from "../store/types.ts";
import {
  type AccountView,
  accountView,
  addAccount,
  freeName,
  type NewAccount,
  requireAccount,
} from "./accounts.ts";
import type { Instance } from "./instance.ts";
import { type Caller, OWNER, requireWithin } from "./scopes.ts";
import { describeToken, mint, type TokenView, type Validity } from "./tokens.ts";

/** Accounts together with their tokens. */

/** The account that a bootstrap makes unless it is named. */
const FIRST_NAME = "operator";

export interface CreatedAccount extends AccountView {
  /** Null unless one was asked for; shown this once. */
  token: string | null;
}

/** What is undefined has a default. */
export interface NewServiceAccount {
  name?: string | undefined;
  scopes?: readonly string[] | undefined;
  /** The caller's unless named. */
  actors?: readonly string[] | undefined;
  description: string;
}

type Complete = Pick<NewAccount, "name" | "scopes"> & Pick<NewServiceAccount, "actors" | "description">;

/**
 * @param token how the first token is to be, or null for none
 * @throws SplError forbidden when the caller has less; what `addAccount` throws
 */
export function createAccount(
  instance: Instance,
  fields: NewServiceAccount & { name: string; scopes: readonly string[] },
  token: Validity | null,
  caller: Caller,
): Promise<CreatedAccount> {
  return instance.store.transact((writer) => make(instance, writer, fields, token, caller));
}

/**
 * Makes an account on behalf of one that is signed in: `operator`, `operator-2`, … with the caller's rights, unless
 * named. What a device can do when the bootstrap token that made it is spent.
 * @throws SplError forbidden when the caller has less; what `addAccount` throws
 */
export function furtherAccount(
  instance: Instance,
  { name, scopes, ...fields }: NewServiceAccount,
  token: Validity | null,
  caller: Caller,
): Promise<CreatedAccount> {
  return instance.store.transact(async (writer) => {
    const free = name ?? (await freeName(writer, FIRST_NAME));
    return make(instance, writer, { ...fields, name: free, scopes: scopes ?? caller.scopes }, token, caller);
  });
}

/**
 * Makes the first account of an instance that has none, with all rights. Of many at once one succeeds.
 * @throws SplError conflict when there is, or was, any account: a seeded bootstrap token has one
 */
export function bootstrapAccount(
  instance: Instance,
  { name = FIRST_NAME, ...fields }: Omit<NewServiceAccount, "scopes">,
  token: Validity | null,
): Promise<CreatedAccount> {
  return instance.store.transact(async (writer) => {
    if ((await writer.accounts()).length > 0) {
      throw new SplError("conflict", "this instance has been bootstrapped already", {
        hint: "spl service-account create --name NAME --scopes admin --with-token makes another account",
      });
    }
    return make(instance, writer, { ...fields, name, scopes: ["admin"] }, token, OWNER);
  });
}

async function make(
  instance: Instance,
  writer: Writer,
  { actors, ...fields }: Complete,
  validity: Validity | null,
  caller: Caller,
): Promise<CreatedAccount> {
  const wanted = { ...fields, actors: actors ?? caller.actors };
  requireWithin(caller, wanted);
  const by = caller.account;
  const account = await addAccount(instance, writer, { ...wanted, kind: "service", by });
  const minted = validity && (await mint(instance, writer, account, { ...validity, by }));
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
