import { z } from "zod";
import { JSON_TYPE } from "../../lib/api/media.ts";
import { Consent, Namespace, NewConsent } from "../../lib/api/schemas.ts";
import { SplError } from "../../lib/base/errors.ts";
import { grantConsent, listGrants, listNamespaces, revokeConsent } from "../../lib/instance/consent.ts";
import { isDid } from "../../lib/record/shape.ts";
import { json } from "../answer.ts";
import { type Route, route } from "../route.ts";
import { readJson } from "../stages/body.ts";

const MAX_BODY = 16 * 1024;

export const consentRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/consent",
    summary: "Which namespaces are shared with which pairs, beside the default one",
    scope: "records:read",
    alternative: "federation:manage",
    answers: { 200: { [JSON_TYPE]: z.array(Consent) } },
    handle: async ({ ctx }) => json(await listGrants(ctx.instance)),
  }),
  route({
    method: "POST",
    path: "/v1/consent",
    summary: "Shares a namespace with a pair, by a record on th_consent",
    scope: "federation:manage",
    bodies: { [JSON_TYPE]: { limit: MAX_BODY, shape: NewConsent } },
    answers: { 201: { [JSON_TYPE]: Consent } },
    async handle(call) {
      const terms = await readJson(call, NewConsent);
      if (terms.to !== "*" && !isDid(terms.to)) {
        throw new SplError("invalid_request", "to must be the DID of a peer, or * for every pair", {
          hint: "spl federation list shows the DIDs",
        });
      }
      const grant = await grantConsent(call.ctx.instance, terms);
      call.ctx.changes.announce();
      return json(grant, 201);
    },
  }),
  route({
    method: "DELETE",
    path: "/v1/consent/:id",
    summary: "Takes a grant back, by a record on th_consent",
    scope: "federation:manage",
    answers: { 200: { [JSON_TYPE]: Consent } },
    async handle({ ctx, params }) {
      const grant = await revokeConsent(ctx.instance, params.id!);
      ctx.changes.announce();
      return json(grant);
    },
  }),
  route({
    method: "GET",
    path: "/v1/namespaces",
    summary: "Namespaces with what is in them and whom they are shared with",
    scope: "records:read",
    answers: { 200: { [JSON_TYPE]: z.array(Namespace) } },
    handle: async ({ ctx }) => json(await listNamespaces(ctx.instance)),
  }),
];
