import { SplError } from "../base/errors.ts";
import type { Account, Reader, Writer } from "../store/types.ts";
import type { Instance } from "./instance.ts";
import { type Caller, parseActors, parseScopes } from "./scopes.ts";

/** Accounts: who may call over the network. Never records; what happens to them goes to the audit table. */

const ACCOUNT_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
/** Names that this host gives: a service account of that name could not travel to another one. */
const RESERVED_NAME = /^(?:bootstrap|device)(?:-|$)/;

export interface AccountView {
  name: string;
  kind: Account["kind"];
  scopes: string[];
  /** Actors it may speak for; none means any. */
  actors: string[];
  description: string;
  /** ISO 8601; null for an account that an older release or a bundle brought. */
  created_at: string | null;
  state: "active" | "revoked";
}

export interface NewAccount {
  name: string;
  kind: Account["kind"];
  scopes: readonly string[];
  actors?: readonly string[];
  description?: string;
  /** Who makes it, for the audit table. */
  by?: string;
}

/**
 * Makes an account inside the caller's transaction.
 * @throws SplError invalid_request for a bad name, scope or actor; conflict when the name was given before
 */
export async function addAccount(instance: Instance, writer: Writer, fields: NewAccount): Promise<Account> {
  const { name, kind, description = "", by = null } = fields;
  if (!ACCOUNT_NAME.test(name)) {
    throw new SplError("invalid_request", `an account's name is 1 to 64 of a-z, 0-9 and -, not "${name}"`);
  }
  if (kind === "service" && RESERVED_NAME.test(name)) {
    throw new SplError(
      "invalid_request",
      `names of the kind "${name}" are kept for this instance's own accounts`,
      {
        hint: "choose another name",
      },
    );
  }
  const account: Account = {
    name,
    kind,
    scopes: parseScopes(fields.scopes),
    actors: parseActors(fields.actors ?? []),
    description,
    createdAt: instance.ports.clock(),
    revokedAt: null,
  };
  if (await writer.addAccount(account)) {
    const { scopes, actors, createdAt } = account;
    const detail = { account: name, kind, scopes: scopes.join(" "), actors: actors.join(" "), by };
    await writer.addAudit(createdAt, "account.create", detail);
    return account;
  }
  const there = (await writer.account(name))!;
  throw new SplError(
    "conflict",
    there.revokedAt === null
      ? `there is an account ${name} already (${there.scopes.join(" ")})`
      : `the account ${name} was revoked, and its name is not given again`,
    { hint: "choose another name" },
  );
}

/** `name`, or with the first number from 2 behind it that makes it new here. */
export async function freeName(reader: Reader, name: string): Promise<string> {
  const taken = new Set((await reader.accounts()).map((account) => account.name));
  let free = name;
  for (let n = 2; taken.has(free); n++) free = `${name}-${n}`;
  return free;
}

export function accountView(account: Account): AccountView {
  const { name, kind, scopes, actors, description, createdAt, revokedAt } = account;
  const created_at = createdAt === 0 ? null : new Date(createdAt).toISOString();
  const state = revokedAt === null ? "active" : "revoked";
  return { name, kind, scopes, actors, description, created_at, state };
}

/** By name. */
export function listAccounts(instance: Instance): Promise<AccountView[]> {
  return instance.store.read(async (reader) => (await reader.accounts()).map(accountView));
}

/**
 * Closes an account with all its tokens, or takes only some scopes from it.
 * @param scopes those to take away; null closes the account
 * @throws SplError not_found, invalid_request when it has none of `scopes` or would have none left
 */
export function revokeAccount(
  instance: Instance,
  name: string,
  scopes: readonly string[] | null,
  caller: Caller,
): Promise<AccountView> {
  return instance.store.transact(async (writer) => {
    const account = await requireAccount(writer, name);
    const now = instance.ports.clock();
    const by = caller.account;
    if (scopes === null) {
      await writer.revokeAccount(name, now);
      await writer.addAudit(now, "account.revoke", { account: name, by });
    } else {
      const taken = parseScopes(scopes);
      const left = account.scopes.filter((scope) => !taken.includes(scope));
      if (left.length === account.scopes.length || left.length === 0) {
        throw new SplError(
          "invalid_request",
          left.length === 0 ? `${name} would have no scope left` : `${name} does not have ${taken.join(" ")}`,
          { hint: left.length === 0 ? "leave out --scopes to revoke it" : `it has ${left.join(" ")}` },
        );
      }
      await writer.setAccountScopes(name, left);
      await writer.addAudit(now, "account.narrow", { account: name, scopes: left.join(" "), by });
    }
    return accountView((await writer.account(name))!);
  });
}

/** @throws SplError not_found */
export async function requireAccount(reader: Reader, name: string): Promise<Account> {
  const account = await reader.account(name);
  if (account) return account;
  throw new SplError("not_found", `there is no account ${name}`, {
    hint: "spl service-account list shows all",
  });
}
