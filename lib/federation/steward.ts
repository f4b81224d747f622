import { utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { keyFromSeed } from "../identity/key.ts";
import { MAX_STATEMENT_BYTES, readStatement, type Statement } from "../identity/statement.ts";
import { foldReserved } from "../instance/reserved.ts";
import {
  highestEpoch,
  keepOwnStatement,
  knownStatement,
  noteStatement,
  ownStatement,
  refuseRevoked,
  revokedStatement,
} from "../instance/steward.ts";
import type { Adoption } from "../instance/types.ts";
import type { FederationContext } from "./context.ts";
import { publish } from "./directory.ts";
import { exchangeJson } from "./exchange.ts";
import { decodeStatement, SEEN, signRequest } from "./http_signature.ts";
import { learn } from "./learn.ts";
import { PAIR_PATH } from "./pairing.ts";
import { safeFetch } from "./safe_fetch.ts";

/** How this home tells where its identity lives, and learns whether another has taken it over (spec, section 3). */

/** What a round of telling and asking came to. */
export interface Round {
  /** The highest statement of this identity that is known now. */
  statement: Statement;
  /** The directory has it; null without a directory. */
  published: boolean | null;
  /** Pairs that were told, of how many. */
  told: number;
  pairs: number;
  /** Why the directory could not be asked. */
  problem: string | null;
}

/**
 * Tells the directory and the pairs where this identity lives and hears what they know of it; what is higher is
 * learnt. Nobody who cannot be reached fails it. An isolated instance only keeps its own statement.
 */
export async function makeRound(ctx: FederationContext, signal?: AbortSignal): Promise<Round> {
  const { instance } = ctx;
  const statement = await keepOwnStatement(instance, ctx.url());
  const round: Round = { statement, published: null, told: 0, pairs: 0, problem: null };
  if (ctx.isolated) return round;
  const pairs = await pairUrls(ctx);
  const [inDirectory, ...told] = await Promise.allSettled([
    publish(ctx, statement, signal),
    ...pairs.map((url) => tell(ctx, url, statement, signal)),
  ]);
  for (const answer of [inDirectory, ...told]) {
    if (answer.status === "fulfilled" && answer.value !== null) await learn(ctx, answer.value);
  }
  const failed = inDirectory.status === "rejected" ? inDirectory.reason : null;
  return {
    statement: (await instance.store.read((reader) => knownStatement(reader, statement.did))) ?? statement,
    published: ctx.directory === null ? null : failed === null,
    told: told.filter(({ status }) => status === "fulfilled").length,
    pairs: pairs.length,
    problem: failed === null ? null : failed instanceof Error ? failed.message : String(failed),
  };
}

/**
 * Makes this home the steward of its identity, whoever is: above every epoch that is known. The next round tells it.
 * @throws SplError superseded for an identity that was revoked
 */
export async function claim({ instance, url }: FederationContext): Promise<void> {
  await instance.store.transact(async (writer) => {
    const { key, ...identity } = await instance.signer(writer);
    await refuseRevoked(writer, identity.did);
    const now = instance.ports.clock();
    const claimed = { ...identity, epoch: Math.max(now, 1 + (await highestEpoch(writer, identity))) };
    await writer.setIdentity(claimed);
    await noteStatement(writer, ownStatement({ ...claimed, key }, url(), now));
    await writer.addAudit(now, "identity.reclaimed", { did: claimed.did, epoch: claimed.epoch });
  });
}

/**
 * Ends the identity `did`, for ever: nothing outranks the statement that says so. A superseded home may do it too, as
 * its key may be in the wrong hands.
 * @throws SplError did_mismatch when this instance is another one
 */
export async function revokeIdentity(ctx: FederationContext, did: string, by: string): Promise<Round> {
  const { instance } = ctx;
  await instance.store.transact(async (writer) => {
    const signer = await instance.signer(writer);
    if (signer.did !== did) {
      throw new SplError("did_mismatch", `this instance is ${signer.did}, not ${did}: nothing was revoked`, {
        hint: "spl identity show tells who it is",
      });
    }
    const known = await knownStatement(writer, signer.did);
    if (known?.revoked) return;
    const now = instance.ports.clock();
    const epoch = Math.max(now, 1 + (await highestEpoch(writer, signer)));
    await noteStatement(writer, revokedStatement({ ...signer, epoch }, now));
    await writer.addAudit(now, "identity.revoked", { did: signer.did, epoch, by });
  });
  ctx.announce();
  return makeRound(ctx);
}

/**
 * Asks the peers of an identity that this home is about to adopt what they know of it, in its own name, and learns that.
 * The question changes nothing there: any statement outranks the one that it brings. Nobody who cannot be reached fails it.
 */
export async function askPeers(
  ctx: FederationContext,
  { did, seed, peers }: Adoption,
  signal: AbortSignal,
): Promise<void> {
  if (ctx.isolated) return;
  const { store, ports } = ctx.instance;
  const { stewardId } = await store.read((reader) => ctx.instance.signer(reader));
  const key = keyFromSeed(seed);
  const statement = ownStatement({ did, key, stewardId, epoch: 0 }, null, ports.clock());
  const facts = { method: "GET", path: PAIR_PATH, body: null } as const;
  const ask = async ({ did: to, url }: Adoption["peers"][number]) => {
    const headers = signRequest({ ...facts, to }, statement, key, ports);
    const answer = await safeFetch(
      url + PAIR_PATH,
      { method: "GET", headers, signal },
      { policy: ctx.policy, ...(ctx.resolve && { resolve: ctx.resolve }) },
    );
    await answer.cancel();
    const seen = answer.headers.get(SEEN);
    return seen === null ? null : decodeStatement(seen, ports.clock());
  };
  for (const told of await Promise.allSettled(peers.map(ask))) {
    if (told.status === "fulfilled" && told.value?.did === did) await learn(ctx, told.value);
  }
}

/** Pushes a statement to a peer and returns the highest that it knows of that DID. */
async function tell(
  ctx: FederationContext,
  url: string,
  statement: Statement,
  signal?: AbortSignal,
): Promise<Statement> {
  const headers = new Headers({ "content-type": "application/json" });
  const request = { method: "POST" as const, headers, body: utf8(JSON.stringify(statement)) };
  const answer = await exchangeJson(
    ctx,
    `${url}/federation/v1/statement`,
    { ...request, ...(signal && { signal }) },
    MAX_STATEMENT_BYTES,
  );
  if (answer === null) throw new SplError("not_found", `there is no instance at ${url}`);
  const known = readStatement(answer, ctx.instance.ports.clock());
  if (known.did === statement.did) return known;
  throw new SplError("peer_misbehaves", `${url} answers with a statement of ${known.did}`);
}

function pairUrls({ instance }: FederationContext): Promise<string[]> {
  return instance.store.read(async (reader) => {
    const { pairs } = await foldReserved(instance, reader);
    return [...new Set(pairs.standing().flatMap(({ url }) => url ?? []))];
  });
}
