import { SplError } from "../../lib/base/errors.ts";
import { encodeStatement, SEEN, STATEMENT } from "../../lib/federation/http_signature.ts";
import { learn } from "../../lib/federation/learn.ts";
import type { Pair } from "../../lib/folds/pairs.ts";
import { compareStewards, type Statement } from "../../lib/identity/statement.ts";
import { pairWith } from "../../lib/instance/federation.ts";
import { keepOwnStatement, knownStatement, requireActive } from "../../lib/instance/steward.ts";
import type { Call } from "../route.ts";
import { readBody } from "./body.ts";

export interface SignedCaller {
  /** The caller's own. */
  statement: Statement;
  /** Null for a request without one. */
  body: Uint8Array | null;
  /** Null for a stranger. */
  pair: Pair | null;
}

export interface PairedCaller extends SignedCaller {
  pair: Pair;
}

/**
 * The instance that signed the request. The answer tells it where this identity lives, and, where it knows better, where
 * the caller's does.
 * @throws SplError signature_refused, statement_refused, wrong_instance, body_too_large; superseded when either end is
 *   no longer the steward of its identity; forbidden on an isolated instance, which must not make itself known
 */
export async function signedCaller(call: Call): Promise<SignedCaller> {
  const { ctx, request, url, answerHeaders } = call;
  const { instance, url: ownUrl, isolated } = ctx.federation;
  if (isolated) {
    throw new SplError("forbidden", "this instance runs isolated and speaks with no other", {
      hint: "start it without --isolated",
    });
  }
  // A home that was left tells where its identity lives now, so that the caller finds it there.
  answerHeaders.set(STATEMENT, encodeStatement(await keepOwnStatement(instance, ownUrl())));
  const signer = await instance.store.read((reader) => instance.signer(reader));
  const body = request.method === "GET" ? null : await readBody(call);
  const facts = { method: request.method, path: url.pathname + url.search, body: body?.length ? body : null };
  // What a stranger may do, ask, does the same when it is done again.
  let pair: Pair | null = null;
  const isPeer = async (did: string) => {
    pair = await instance.store.read((reader) => pairWith(instance, reader, did));
    return pair !== null;
  };
  const statement = await ctx.signatures.verify(facts, request.headers, signer.did, isPeer);
  await instance.store.read(async (reader) => {
    const seen = await knownStatement(reader, statement.did);
    if (seen && compareStewards(seen, statement) > 0) {
      answerHeaders.set(SEEN, encodeStatement(seen));
      throw new SplError("superseded", `${statement.did} has moved on from the home that calls`);
    }
    await requireActive(reader, signer);
  });
  return { statement, body: facts.body, pair };
}

/**
 * The peer that signed the request; if it has moved, a record says so from now on.
 * @throws SplError as `signedCaller`; pair_unknown unless there is an active pair with it
 */
export async function signedBy(call: Call): Promise<PairedCaller> {
  const caller = await signedCaller(call);
  const { federation } = call.ctx;
  const { instance } = federation;
  const { did } = caller.statement;
  let { pair } = caller;
  // A stranger's statement is not kept: whoever calls could fill the store with them.
  if (pair !== null && (await learn(federation, caller.statement)))
    pair = await instance.store.read((reader) => pairWith(instance, reader, did));
  if (pair?.state === "active") return { ...caller, pair };
  const why = pair ? `the pair is ${pair.state}` : "it is not paired with this instance";
  throw new SplError("pair_unknown", `${did} may not have this: ${why}`, {
    detail: { pair: pair?.state ?? "none" },
  });
}
