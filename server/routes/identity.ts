import { z } from "zod";
import { JSON_TYPE } from "../../lib/api/media.ts";
import { Identity, Pair } from "../../lib/api/schemas.ts";
import { listPairs } from "../../lib/instance/federation.ts";
import { showIdentity } from "../../lib/instance/identity.ts";
import { json } from "../answer.ts";
import { type Route, route } from "../route.ts";

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
    method: "GET",
    path: "/v1/federation/pairs",
    summary: "Instances that this one is paired with",
    scope: "records:read",
    answers: { 200: { [JSON_TYPE]: z.array(Pair) } },
    handle: async ({ ctx }) => json(await listPairs(ctx.instance)),
  }),
];
