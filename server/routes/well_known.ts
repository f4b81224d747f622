import { JSON_TYPE } from "../../lib/api/media.ts";
import { Statement as StatementShape, WellKnown } from "../../lib/api/schemas.ts";
import { SplError } from "../../lib/base/errors.ts";
import { isAcquainted, learn } from "../../lib/federation/learn.ts";
import { describeInstance, WELL_KNOWN } from "../../lib/federation/well_known.ts";
import { MAX_STATEMENT_BYTES, readStatement, type Statement } from "../../lib/identity/statement.ts";
import { keepOwnStatement, knownStatement } from "../../lib/instance/steward.ts";
import { parseJson } from "../../lib/record/json.ts";
import { json } from "../answer.ts";
import { type Call, type Route, route } from "../route.ts";
import { readBody } from "../stages/body.ts";

/** What anybody may ask, and tell, of where an instance lives: what they say proves itself. */

/** Calls of one source in a minute. */
const MAX_ASKED = 600;
const MAX_TOLD = 120;

export const STATEMENT_BODY = { [JSON_TYPE]: { limit: MAX_STATEMENT_BYTES, shape: StatementShape } };

export const wellKnownRoutes: Route[] = [
  route({
    method: "GET",
    path: WELL_KNOWN,
    summary: "Who this instance is, where it lives now and what it can, signed",
    scope: null,
    answers: { 200: { [JSON_TYPE]: WellKnown } },
    async handle({ ctx, peer }) {
      ctx.pace.step(peer, "well-known", MAX_ASKED);
      const { instance, federation, servesDirectory } = ctx;
      const statement = await keepOwnStatement(instance, federation.url());
      const signer = await instance.store.read((reader) => instance.signer(reader));
      const more = servesDirectory ? ["directory"] : [];
      return json(describeInstance(signer, statement, more, instance.ports.clock()));
    },
  }),
  route({
    method: "POST",
    path: "/federation/v1/statement",
    summary:
      "Takes the endpoint statement of this instance or of one that it knows, and answers with the highest of that DID",
    scope: null,
    bodies: STATEMENT_BODY,
    answers: { 200: { [JSON_TYPE]: StatementShape } },
    async handle(call) {
      const { ctx, peer } = call;
      ctx.pace.step(peer, "statement", MAX_TOLD);
      const statement = await readPushed(call);
      await requireAcquainted(call, statement.did);
      await learn(ctx.federation, statement);
      return json(await ctx.instance.store.read((reader) => knownStatement(reader, statement.did)));
    },
  }),
];

/** @throws SplError invalid_json, statement_refused, body_too_large */
export async function readPushed(call: Call): Promise<Statement> {
  return readStatement(parseJson(await readBody(call)), call.ctx.instance.ports.clock());
}

/** Strangers must not fill the store with statements. @throws SplError pair_unknown */
async function requireAcquainted({ ctx: { instance } }: Call, did: string): Promise<void> {
  if (await instance.store.read((reader) => isAcquainted(instance, reader, did))) return;
  throw new SplError("pair_unknown", `this instance has no pair with ${did.slice(0, 300)}`, {
    hint: "spl federation pair URL asks for one",
  });
}
