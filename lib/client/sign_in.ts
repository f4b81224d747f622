import type { Token } from "../api/wire.ts";
import { toBase64Url, toHex, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { systemRandom } from "../base/random.ts";
import { sha256 } from "../base/sha256.ts";
import type { Env } from "./config.ts";
import { pendingTrade, saveToken, setPendingTrade } from "./credentials.ts";
import { InstanceClient } from "./instance_client.ts";
import { type Address, requireSendable } from "./target.ts";

const SECRET_BYTES = 32;

/**
 * Saves a token for the address once the instance there has accepted it. A bootstrap token is traded: the lasting one is
 * made and kept here before its hash is sent, so that a trade whose answer was lost is asked for again by the same call
 * (spec, section 7). The token saved before stays until the new one is good.
 * @returns what the instance says of the token that is saved now
 * @throws SplError usage and cleartext_refused before anything is sent; bootstrap_spent, unauthorized, unreachable; what
 * `saveToken` throws
 */
export async function signInAt(address: Address, token: string, env: Env): Promise<Token> {
  requireSendable(address, token);
  const client = new InstanceClient({ ...address, token });
  const bootstrap = hashOf(token);
  const pending = pendingTrade(env, address.url);
  if (pending?.bootstrap === bootstrap) return trade(client, pending.token, env);
  const own = await client.ownToken();
  if (own.kind === "bearer") {
    saveToken(env, address.url, token);
    return own;
  }
  const lasting = `spl_live_${own.account}_${toBase64Url(systemRandom(SECRET_BYTES))}`;
  requireSendable(address, lasting);
  setPendingTrade(env, address.url, { token: lasting, bootstrap });
  return trade(client, lasting, env);
}

async function trade(client: InstanceClient, lasting: string, env: Env): Promise<Token> {
  const { url } = client.target;
  try {
    const traded = await client.tradeToken(hashOf(lasting));
    saveToken(env, url, lasting);
    return traded;
  } catch (error) {
    // Refused for good. Of anything else nobody knows yet how it ended.
    if (error instanceof SplError && (error.code === "bootstrap_spent" || error.code === "unauthorized"))
      setPendingTrade(env, url, null);
    throw error;
  }
}

/** SHA-256, lowercase hex. */
function hashOf(token: string): string {
  return toHex(sha256.hash(utf8(token)));
}
