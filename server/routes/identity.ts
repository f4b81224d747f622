import { JSON_TYPE } from "../../lib/api/media.ts";
import { Identity, RevokedIdentity, RevokeIdentity } from "../../lib/api/schemas.ts";
import { revokeIdentity } from "../../lib/federation/steward.ts";
import { showIdentity } from "../../lib/instance/identity.ts";
import { json } from "../answer.ts";
import { type Route, route } from "../route.ts";
import { readJson } from "../stages/body.ts";

const MAX_BODY = 4096;

export const identityRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/identity",
    summary: "DID, key, epoch and DID document of the instance",
    scope: "records:read",
    answers: { 200: { [JSON_TYPE]: Identity } },
    handle: async ({ ctx }) => json(await showIdentity(ctx.instance)),
  }),
  route({
    method: "POST",
    path: "/v1/identity/revoke",
    summary: "Ends the identity of this instance, for ever: it becomes read-only, and its pairs end",
    scope: "admin",
    bodies: { [JSON_TYPE]: { limit: MAX_BODY, shape: RevokeIdentity } },
    answers: { 200: { [JSON_TYPE]: RevokedIdentity } },
    async handle(call) {
      const { ctx, grant } = call;
      const { did } = await readJson(call, RevokeIdentity);
      const { statement, problem: _, ...told } = await revokeIdentity(ctx.federation, did, grant.account);
      return json({ did, epoch: statement.epoch, state: "revoked", ...told });
    },
  }),
];
