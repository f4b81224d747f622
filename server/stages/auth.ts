import { SplError } from "../../lib/base/errors.ts";
import { signIn as signInWith } from "../../lib/instance/sign_in.ts";
import { isDid } from "../../lib/record/shape.ts";
import type { AppContext } from "../context.ts";
import type { Route } from "../route.ts";
import { isLoopback, type Peer } from "./peer.ts";
import { countWrong } from "./rate.ts";
import { Grant, OWNER } from "./scope.ts";

// RFC 6750, section 2.1.
const BEARER = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i;

/**
 * Who is calling. File permissions are the sign-in of the Unix socket; the TCP port takes bearer tokens.
 * @throws SplError unauthorized, bootstrap_spent, rate_limited; forbidden for a bootstrap token where it is no use
 */
export async function signIn(
  ctx: AppContext,
  request: Request,
  { scope }: Route,
  peer: Peer,
): Promise<Grant> {
  if (peer.transport === "unix") return OWNER;
  if (ctx.insecureLocalhost && peer.remote !== null && isLoopback(peer.remote)) return OWNER;
  const bearer = requireBearer(request);
  const { account, token } = await countWrong(ctx, peer, () => signInWith(ctx.instance, bearer, peer.remote));
  if (token.kind === "bootstrap" && scope !== "any") {
    throw new SplError("forbidden", "this is a bootstrap token: it can only be traded for a lasting one", {
      hint: "spl token save TOKEN does that",
    });
  }
  return new Grant(account.name, account.scopes, account.actors, token);
}

/** @throws SplError unauthorized */
export function requireBearer(request: Request): string {
  const bearer = BEARER.exec(request.headers.get("authorization") ?? "")?.[1];
  if (bearer !== undefined) return bearer;
  throw new SplError("unauthorized", "this instance asks for a token", {
    hint: "spl token save TOKEN keeps one for this address; SPL_TOKEN names one for a single command",
  });
}

/**
 * The actor that the request claims to speak for.
 * @throws SplError invalid_request, forbidden
 */
export function claimedActor(request: Request, grant: Grant): string | null {
  const actor = request.headers.get("x-syncropel-actor");
  if (actor === null) return null;
  if (!isDid(actor)) throw new SplError("invalid_request", "X-Syncropel-Actor must be a DID");
  grant.requireActor(actor);
  return actor;
}
