import { SplError } from "../../lib/base/errors.ts";
import { signIn as signInWith } from "../../lib/instance/sign_in.ts";
import type { AppContext } from "../context.ts";
import { isLoopbackName } from "./host.ts";
import { Grant, OWNER } from "./scope.ts";

/** How a request came in. */
export interface Peer {
  transport: "tcp" | "unix";
  /** The other end's address, null on a Unix socket. */
  remote: string | null;
  /** Lets this request be silent for as long as it likes. */
  patience?: () => void;
}

// RFC 6750, section 2.1.
const BEARER = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i;

/**
 * Who is calling. File permissions are the sign-in of the Unix socket; the TCP port takes bearer tokens.
 * @throws SplError unauthorized
 */
export async function signIn(ctx: AppContext, request: Request, peer: Peer): Promise<Grant> {
  if (peer.transport === "unix") return OWNER;
  if (ctx.insecureLocalhost && peer.remote !== null && isLoopback(peer.remote)) return OWNER;
  const header = request.headers.get("authorization");
  const bearer = BEARER.exec(header ?? "")?.[1];
  if (bearer === undefined) {
    throw new SplError("unauthorized", "this instance asks for a token", {
      hint: "spl token save TOKEN keeps one for this address; SPL_TOKEN names one for a single command",
    });
  }
  const { account } = await signInWith(ctx.instance, bearer, peer.remote);
  return new Grant(account.name, account.scopes, account.actors);
}

function isLoopback(address: string): boolean {
  return isLoopbackName(address.replace(/^::ffff:/, ""));
}
