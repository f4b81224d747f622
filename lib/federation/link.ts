import { PROBLEM_TYPE } from "../api/media.ts";
import { fromProblem } from "../api/problem.ts";
import { type ErrorCode, SplError } from "../base/errors.ts";
import type { Pair } from "../folds/pairs.ts";
import { compareStewards, type Statement } from "../identity/statement.ts";
import { movePair } from "../instance/federation.ts";
import { keepOwnStatement, knownStatement, requireActive } from "../instance/steward.ts";
import { parseJson } from "../record/json.ts";
import type { FederationContext } from "./context.ts";
import { REFUSALS, requireConnected } from "./exchange.ts";
import { decodeStatement, SEEN, STATEMENT, signRequest } from "./http_signature.ts";
import { learn } from "./learn.ts";
import { resolveDid } from "./resolve.ts";
import { readWhole, type SafeResponse, safeFetch } from "./safe_fetch.ts";

/** Signed calls to a peer, wherever it lives now: whoever answers must be the peer, in the latest of its homes. */

export interface PeerRequest {
  method: "GET" | "POST";
  /** Below the peer's base URL, with query: `/federation/v1/…`. */
  path: string;
  body?: Uint8Array;
  contentType?: string;
  accept: string;
  signal?: AbortSignal;
}

/** What to do where a peer has no active pair with this instance, by how its own stands. */
const NOT_ACTIVE: Record<string, string> = {
  paused: "its operator goes on with spl federation resume there",
  establishing: "spl federation pair URL tells it that the pair is approved here",
  none: "spl federation pair URL asks it anew where it has revoked the pair; spl federation revoke ID ends it here as well",
};

/** What a call needs to know of a pair. */
export type PairAddress = Pick<Pair, "peer_did" | "url">;

/** Of an answer that is a problem document. */
const PROBLEM_BOUNDS = { most: 64 * 1024, idleMs: 10_000, totalMs: 10_000 };
/** Whatever has taken the place of a peer that moved may answer with anything, such as a redirect to a login. */
const ELSEWHERE: readonly ErrorCode[] = ["peer_unreachable", "wrong_instance", "peer_misbehaves"];

/**
 * Calls the peer and returns its answer of status 2xx. Where its URL fails, or somebody else or an older home answers
 * there, the DID is resolved and called where it lives now; once it has answered there, a record says so.
 * @throws SplError peer_unreachable whose hint names `spl federation refresh`; address_refused, peer_misbehaves; what
 *   the peer refused, such as pair_unknown or cursor_invalid; superseded when this instance is no longer the steward
 */
export async function callPeer(
  ctx: FederationContext,
  pair: PairAddress,
  request: PeerRequest,
): Promise<SafeResponse> {
  const { answer, url } = await reach(ctx, pair, request);
  if (url !== pair.url && (await movePair(ctx.instance, pair.peer_did, url)))
    ctx.log("pair-moved", { peer: pair.peer_did, from: pair.url, to: url });
  return answer;
}

/** As `callPeer`, but without a record; tells where the peer answered as well. */
export async function reach(
  ctx: FederationContext,
  pair: PairAddress,
  request: PeerRequest,
): Promise<{ answer: SafeResponse; url: string }> {
  requireConnected(ctx.isolated);
  let failure = new SplError("peer_unreachable", `no address of ${pair.peer_did} is known`);
  if (pair.url !== null) {
    try {
      return { answer: await ask(ctx, pair.peer_did, pair.url, request), url: pair.url };
    } catch (error) {
      if (!isElsewhere(error) && !isRefused(error)) throw error;
      failure = error;
    }
  }
  const { url } = await resolveDid(ctx, pair.peer_did).catch((cause) => {
    throw lost(pair, failure, cause);
  });
  if (url === null || url === pair.url) throw lost(pair, failure);
  try {
    return { answer: await ask(ctx, pair.peer_did, url, request), url };
  } catch (error) {
    throw isElsewhere(error) || isRefused(error) ? lost(pair, failure, error) : error;
  }
}

/**
 * One signed call to whoever lives at `url`, who has to be `did`.
 * @throws SplError as `callPeer`, and wrong_instance when it is somebody else
 */
export async function ask(
  ctx: FederationContext,
  did: string,
  url: string,
  { method, path, body, contentType, accept, signal }: PeerRequest,
): Promise<SafeResponse> {
  requireConnected(ctx.isolated);
  const { store, ports } = ctx.instance;
  const own = await keepOwnStatement(ctx.instance, ctx.url());
  const signer = await store.read(async (reader) => {
    const signer = await ctx.instance.signer(reader);
    await requireActive(reader, signer);
    return signer;
  });
  const headers = signRequest({ method, path, body: body ?? null, to: did }, own, signer.key, ports);
  headers.set("accept", accept);
  if (contentType !== undefined) headers.set("content-type", contentType);
  const response = await safeFetch(
    url + path,
    { method, headers, ...(body && { body }), ...(signal && { signal }) },
    { policy: ctx.policy, ...(ctx.resolve && { resolve: ctx.resolve }) },
  ).catch((error) => {
    // Whoever redirects has not shown who it is: it is rather a proxy, or a login, than the peer.
    const redirects = error instanceof SplError && error.detail?.redirects === true;
    throw redirects ? new SplError("wrong_instance", error.message, { cause: error }) : error;
  });
  ctx.heardClock?.(new URL(url).origin, response.headers.get("date"));
  try {
    await learnOwn(ctx, response, url, own);
    await requirePeer(ctx, response, url, did);
    if (response.status >= 200 && response.status < 300) return response;
    throw await refusal(response, url);
  } catch (error) {
    await response.cancel();
    throw error;
  }
}

/** The peer has seen this identity move on. @throws SplError superseded */
async function learnOwn(
  ctx: FederationContext,
  response: SafeResponse,
  url: string,
  own: Statement,
): Promise<void> {
  const seen = statementIn(ctx, response, SEEN, url);
  if (seen === null || seen.did !== own.did || compareStewards(seen, own) <= 0) return;
  await learn(ctx, seen);
  const { store } = ctx.instance;
  await store.read(async (reader) => requireActive(reader, await ctx.instance.signer(reader)));
}

/** @throws SplError wrong_instance, peer_misbehaves */
async function requirePeer(
  ctx: FederationContext,
  response: SafeResponse,
  url: string,
  did: string,
): Promise<void> {
  const theirs = statementIn(ctx, response, STATEMENT, url);
  if (theirs === null) {
    const told = await problemIn(response);
    const why = told ? `says: ${told.message.slice(0, 500)}` : "does not answer as an instance would";
    throw new SplError("wrong_instance", `${url} ${why}`);
  }
  if (theirs.did !== did) throw new SplError("wrong_instance", `${url} is ${theirs.did} and not ${did}`);
  const known = await ctx.instance.store.read((reader) => knownStatement(reader, did));
  if (known && compareStewards(theirs, known) < 0) {
    throw new SplError("wrong_instance", `${url} is a home that ${did} has left`);
  }
  await learn(ctx, theirs);
}

function statementIn(
  ctx: FederationContext,
  response: SafeResponse,
  header: string,
  url: string,
): Statement | null {
  const text = response.headers.get(header);
  if (text === null) return null;
  try {
    return decodeStatement(text, ctx.instance.ports.clock());
  } catch (cause) {
    const why = cause instanceof SplError ? `: ${cause.message}` : "";
    throw new SplError("peer_misbehaves", `${url} sends a statement that cannot be believed${why}`, {
      cause,
    });
  }
}

async function refusal(response: SafeResponse, url: string): Promise<SplError> {
  const told = await problemIn(response);
  if (told?.code === "superseded" || told?.code === "wrong_instance" || told?.code === "moved") {
    return new SplError("wrong_instance", `${url} says: ${told.message.slice(0, 500)}`);
  }
  if (!told || !REFUSALS.includes(told.code)) {
    return new SplError("peer_misbehaves", `${url} answers with status ${response.status}`);
  }
  const { retry_after, pair } = told.detail ?? {};
  const hint =
    told.code === "pair_unknown"
      ? (NOT_ACTIVE[String(pair)] ?? NOT_ACTIVE.none)
      : typeof retry_after === "number"
        ? `try again in ${retry_after} s`
        : undefined;
  return new SplError(told.code, `${url} refuses: ${told.message.slice(0, 500)}`, {
    ...(hint !== undefined && { hint }),
    ...(typeof retry_after === "number" && { detail: { retry_after } }),
  });
}

async function problemIn(response: SafeResponse): Promise<SplError | null> {
  const [type] = (response.headers.get("content-type") ?? "").split(";");
  if (type !== PROBLEM_TYPE) return null;
  const bytes = await readWhole(response, PROBLEM_BOUNDS);
  try {
    return fromProblem(parseJson(bytes));
  } catch {
    return null;
  }
}

function isElsewhere(error: unknown): error is SplError {
  return error instanceof SplError && ELSEWHERE.includes(error.code);
}

/** An address that this instance must not dial: of two, the other one may be better. */
function isRefused(error: unknown): error is SplError {
  return error instanceof SplError && error.code === "address_refused";
}

/** @param second why the address that was found out, or finding it out, is of no use */
function lost({ peer_did }: PairAddress, first: SplError, second?: unknown): SplError {
  const more = second instanceof SplError ? second : null;
  const refused = [first, more].find(isRefused);
  const code = first.code === "wrong_instance" ? "peer_unreachable" : first.code;
  return new SplError(code, more ? `${first.message}, and ${more.message}` : first.message, {
    hint: refused?.hint ?? `spl federation refresh ${peer_did} looks for where it lives now`,
    cause: first,
  });
}
