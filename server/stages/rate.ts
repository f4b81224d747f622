import { type ErrorCode, SplError } from "../../lib/base/errors.ts";
import type { Holder } from "../../lib/instance/attempts.ts";
import type { AppContext } from "../context.ts";
import type { Call } from "../route.ts";
import { type Peer, sourceOf } from "./peer.ts";

/** What a wrong secret is answered with. */
const WRONG: readonly ErrorCode[] = ["unauthorized", "bootstrap_spent", "pairing_refused"];

/**
 * Runs an attempt with a secret that can be guessed, unless too many from its source were wrong. Those of one source
 * take turns, so that many at once get no further than one after the other. The Unix socket is exempt.
 * @param attempt waits for nothing that the client sends
 * @throws SplError rate_limited, and what `attempt` throws
 */
export async function guarded<T>(
  { ctx, peer }: Pick<Call, "ctx" | "peer">,
  attempt: () => Promise<T>,
): Promise<T> {
  const source = sourceOf(peer);
  if (source === null) return attempt();
  return ctx.attempts.inTurn(source, async () => {
    ctx.attempts.check(source);
    return countWrong(ctx, peer, attempt);
  });
}

/**
 * Runs a sign-in with a token. One that is good passes always: its 256 bits are not guessed, and nobody is kept out by
 * what others at his address do. Only a wrong one meets the limit, and not one that was good once.
 * @throws SplError rate_limited, and what `attempt` throws
 */
export async function countWrong<T>(ctx: AppContext, peer: Peer, attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    const source = sourceOf(peer);
    if (source !== null && isWrong(error)) {
      const holder = holderOf(error);
      if (holder === null) ctx.attempts.check(source);
      ctx.attempts.fail(source, holder);
    }
    throw error;
  }
}

function isWrong(error: unknown): error is SplError {
  return error instanceof SplError && WRONG.includes(error.code);
}

/** Told only to who proved the secret of a token that is good no longer. */
function holderOf({ detail }: SplError): Holder | null {
  const { account, state } = detail ?? {};
  return account === undefined ? null : { account: String(account), state: String(state) };
}
