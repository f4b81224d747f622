import { z } from "zod";
import { JSON_TYPE } from "../../lib/api/media.ts";
import { Pair, PairChange, PairingAnswer, RequestPair } from "../../lib/api/schemas.ts";
import { SplError } from "../../lib/base/errors.ts";
import { readBaseUrl } from "../../lib/client/config.ts";
import { learn } from "../../lib/federation/learn.ts";
import {
  approvePair,
  followPairing,
  PAIR_PATH,
  pairingState,
  receiveRequest,
  refreshPair,
  rejectPair,
  requestPair,
} from "../../lib/federation/pairing.ts";
import { isReserved } from "../../lib/folds/reserved.ts";
import { changePair, listPairs, type PairView, shownState, showPair } from "../../lib/instance/federation.ts";
import { json } from "../answer.ts";
import { type Call, type Route, route } from "../route.ts";
import { readJson } from "../stages/body.ts";
import { signedCaller } from "../stages/signed.ts";

const MAX_BODY = 256 * 1024;
const ONE = "/v1/federation/pairs/:pair";
const answers = { 200: { [JSON_TYPE]: Pair } };

/** Per minute and address: signed questions about a pairing, and unknown instances that ask for one. */
const MAX_ASKED = 600;
const MAX_STRANGERS = 10;

export const federationRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/federation/pairs",
    summary: "Instances that this one is paired with, or that ask to be",
    scope: "records:read",
    alternative: "federation:manage",
    answers: { 200: { [JSON_TYPE]: z.array(Pair) } },
    handle: async ({ ctx }) => json((await listPairs(ctx.instance)).map(shown)),
  }),
  route({
    method: "POST",
    path: "/v1/federation/pairs",
    summary: "Asks the instance at a URL to be paired, by a record on th_federation_pairs",
    scope: "federation:manage",
    patient: true,
    bodies: { [JSON_TYPE]: { limit: MAX_BODY, shape: RequestPair } },
    answers: { 201: { [JSON_TYPE]: Pair } },
    async handle(call) {
      const given = (await readJson(call, RequestPair)).url;
      const url = readBaseUrl(given, given);
      return changed(call, await requestPair(call.ctx.federation, url, call.grant.account), 201);
    },
  }),
  route({
    method: "GET",
    path: ONE,
    summary: "One pair, by its ID, the beginning of it, or the peer's DID",
    scope: "records:read",
    alternative: "federation:manage",
    answers,
    handle: async ({ ctx, params }) => json(shown(await showPair(ctx.instance, params.pair!))),
  }),
  route({
    method: "POST",
    path: ONE,
    summary: "Changes a pair, by a record: state, mode, interval or threads",
    scope: "federation:manage",
    bodies: { [JSON_TYPE]: { limit: MAX_BODY, shape: PairChange } },
    answers,
    async handle(call) {
      const change = await readJson(call, PairChange);
      const reserved = change.threads?.find(isReserved);
      if (reserved !== undefined) {
        throw new SplError("invalid_request", `threads: ${reserved} is reserved and never crosses`, {
          hint: "leave it out",
        });
      }
      return changed(
        call,
        await changePair(call.ctx.instance, call.params.pair!, change, call.grant.account),
      );
    },
  }),
  operation("approve", "Approves a request, by a record, and tells the other side", (call) =>
    approvePair(call.ctx.federation, call.params.pair!, call.grant.account),
  ),
  operation("reject", "Forgets a request", (call) =>
    rejectPair(call.ctx.federation, call.params.pair!, call.grant.account),
  ),
  operation("follow", "Asks the other side whether it has approved the pair", async (call) => {
    const pair = await showPair(call.ctx.instance, call.params.pair!);
    return pair.approval === "there" ? followPairing(call.ctx.federation, pair) : pair;
  }),
  operation("refresh", "Finds out where the peer lives now", (call) =>
    refreshPair(call.ctx.federation, call.params.pair!),
  ),
  route({
    method: "POST",
    path: PAIR_PATH,
    summary: "For other instances, signed (RFC 9421): asks to be paired",
    scope: null,
    answers: { 200: { [JSON_TYPE]: PairingAnswer } },
    async handle(call) {
      const { ctx, peer } = call;
      ctx.pace.step(peer, "pair", MAX_ASKED);
      const { statement, pair } = await signedCaller(call);
      if (pair !== null) await learn(ctx.federation, statement);
      const stranger = () => ctx.pace.step(peer, "pair-request", MAX_STRANGERS);
      const state = await receiveRequest(ctx.federation, statement, stranger);
      ctx.changes.announce();
      return json({ state });
    },
  }),
  route({
    method: "GET",
    path: PAIR_PATH,
    summary: "For other instances, signed (RFC 9421): how far their pairing is",
    scope: null,
    answers: { 200: { [JSON_TYPE]: PairingAnswer } },
    async handle(call) {
      call.ctx.pace.step(call.peer, "pair", MAX_ASKED);
      const { statement } = await signedCaller(call);
      return json({ state: await pairingState(call.ctx.federation, statement.did) });
    },
  }),
];

function operation(verb: string, summary: string, run: (call: Call) => Promise<PairView>): Route {
  return route({
    method: "POST",
    path: `${ONE}/${verb}`,
    summary,
    scope: "federation:manage",
    patient: true,
    answers,
    handle: async (call) => changed(call, await run(call)),
  });
}

function changed({ ctx }: Call, pair: PairView, status = 200): Response {
  ctx.changes.announce();
  return json(shown(pair), status);
}

function shown(pair: PairView) {
  return { ...pair, state: shownState(pair) };
}
