import { JSON_TYPE } from "../../lib/api/media.ts";
import { Statement as StatementShape } from "../../lib/api/schemas.ts";
import { isoTime } from "../../lib/base/clock.ts";
import { SplError } from "../../lib/base/errors.ts";
import { learn } from "../../lib/federation/learn.ts";
import { compareStatements, type Statement } from "../../lib/identity/statement.ts";
import { knownStatement } from "../../lib/instance/steward.ts";
import { json } from "../answer.ts";
import { type Call, type Route, route } from "../route.ts";
import { readPushed, STATEMENT_BODY } from "./well_known.ts";

/** The directory (spec, section 3): the highest endpoint statement of each DID, for `spl serve --directory` only. */

/** DIDs that it has room for. */
const MAX_DIDS = 100_000;

/** Calls of one source in a minute. */
const MAX_ASKED = 600;
const MAX_PUBLISHED = 60;

export const directoryRoutes: Route[] = [
  route({
    method: "GET",
    path: "/directory/:did",
    summary:
      "The highest endpoint statement that was published of a DID, if this instance serves a directory",
    scope: null,
    answers: { 200: { [JSON_TYPE]: StatementShape } },
    async handle(call) {
      const { ctx, params, peer } = call;
      requireDirectory(call);
      ctx.pace.step(peer, "directory-get", MAX_ASKED);
      const known = await ctx.instance.store.read((reader) => knownStatement(reader, params.did!));
      if (known) return json(known);
      throw new SplError("not_found", "nothing was published of this DID here");
    },
  }),
  route({
    method: "PUT",
    path: "/directory/:did",
    summary: "Publishes an endpoint statement: kept when it verifies and outranks what is known of its DID",
    scope: null,
    bodies: STATEMENT_BODY,
    answers: { 200: { [JSON_TYPE]: StatementShape } },
    async handle(call) {
      const { ctx, params, peer } = call;
      requireDirectory(call);
      ctx.pace.step(peer, "directory-put", MAX_PUBLISHED);
      const statement = await readPushed(call);
      if (statement.did !== params.did) {
        throw new SplError(
          "statement_refused",
          "the endpoint statement is refused: it is of another DID than the path",
        );
      }
      await requireRoom(call, statement);
      await learn(ctx.federation, statement);
      return json(statement);
    },
  }),
];

/** @throws SplError not_found */
function requireDirectory({ ctx }: Call): void {
  if (ctx.servesDirectory) return;
  throw new SplError("not_found", "this instance serves no directory", {
    hint: "spl serve --directory does",
  });
}

/** @throws SplError superseded for what is outranked, disk_full for a DID too many */
async function requireRoom({ ctx: { instance } }: Call, statement: Statement): Promise<void> {
  const { known, dids } = await instance.store.read(async (reader) => ({
    known: await knownStatement(reader, statement.did),
    dids: await reader.countEndpoints(),
  }));
  if (known === null && dids >= MAX_DIDS) {
    throw new SplError("disk_full", `the directory is full: it holds ${MAX_DIDS} DIDs`, {
      hint: "publish to another directory",
    });
  }
  if (known === null || compareStatements(statement, known) >= 0) return;
  const since = isoTime(known.epoch);
  throw new SplError(
    "superseded",
    known.revoked
      ? `the identity was revoked (${known.issued_at})`
      : `a higher statement is known: the instance lives at ${known.url ?? "another home, which has no address"} (${since})`,
    { hint: "spl serve --reclaim takes an identity back, on purpose", detail: { since } },
  );
}
