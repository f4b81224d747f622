import { toHex } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import type { Hosting } from "./hosting.ts";
import type { HostedInstance } from "./registry.ts";
import { newRecoveryCode, newSecret, secretHash, tidyRecoveryCode } from "./secrets.ts";

/** Who owns an instance: whoever holds the session that asked for it, or the recovery code that came with its token. */

/** How long a session lasts, milliseconds. */
export const SESSION_MS = 30 * 24 * 60 * 60 * 1000;

/** 16 hex. */
export function newId({ ports }: Hosting): string {
  return toHex(ports.random(8));
}

/** A session's secret for the owner; the table keeps its hash. */
export async function openSession({ registry, ports }: Hosting, owner: string): Promise<string> {
  const secret = newSecret(ports.random);
  const now = ports.clock();
  await registry.addSession(secretHash(secret), owner, now + SESSION_MS, now);
  return secret;
}

/** The owner whose session this is, or null. */
export function ownerOf({ registry, ports }: Hosting, secret: string | null): Promise<string | null> {
  return secret === null ? Promise.resolve(null) : registry.session(secretHash(secret), ports.clock());
}

/** A recovery code, shown this once; null for an owner who has one already. */
export async function firstRecoveryCode({ registry, ports }: Hosting, owner: string): Promise<string | null> {
  const code = newRecoveryCode(ports.random);
  return (await registry.setFirstRecovery(owner, secretHash(code))) ? code : null;
}

/** A new recovery code, in place of the one before it. It is shown this once. */
export async function newRecoveryCodeOf({ registry, ports }: Hosting, owner: string): Promise<string> {
  const code = newRecoveryCode(ports.random);
  await registry.setRecovery(owner, secretHash(code));
  return code;
}

/** @throws SplError unauthorized */
export function requireOwner(owner: string | null): string {
  if (owner !== null) return owner;
  throw new SplError("unauthorized", "only its owner may see this, and you are not signed in", {
    hint: "use the browser that you started it with, or enter your recovery code at /recover",
  });
}

/** @returns the secret of a new session. @throws SplError unauthorized */
export async function recover(hosting: Hosting, typed: string): Promise<string> {
  const owner = await hosting.registry.ownerByRecovery(secretHash(tidyRecoveryCode(typed)));
  if (owner !== null) return openSession(hosting, owner);
  throw new SplError("unauthorized", "this recovery code is not known here", {
    hint: "compare it with what you wrote down; the code shown last is the one that counts",
  });
}

/** @throws SplError unauthorized without a session; not_found for an instance of somebody else as for none */
export async function ownInstance(
  hosting: Hosting,
  owner: string | null,
  id: string,
): Promise<HostedInstance> {
  const own = requireOwner(owner);
  const instance = await hosting.registry.instance(id);
  if (instance?.owner === own) return instance;
  throw new SplError("not_found", "you have no such instance", {
    hint: "/instances lists those that you have",
  });
}
