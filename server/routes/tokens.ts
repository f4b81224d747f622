import { z } from "zod";
import { JSON_TYPE } from "../../lib/api/media.ts";
import { MintedToken, NewToken, Token, Trade } from "../../lib/api/schemas.ts";
import { fromHex } from "../../lib/base/bytes.ts";
import { SplError } from "../../lib/base/errors.ts";
import { mintBootstrap, tradeBootstrap } from "../../lib/instance/bootstrap.ts";
import {
  listTokens,
  mintToken,
  ownToken,
  revokeToken,
  rotateToken,
  tokenInfo,
} from "../../lib/instance/tokens.ts";
import { json } from "../answer.ts";
import { type Route, route } from "../route.ts";
import { requireBearer } from "../stages/auth.ts";
import { readJson } from "../stages/body.ts";
import { guarded } from "../stages/rate.ts";

const MAX_BODY = 64 * 1024;

export const tokenRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/token",
    summary: "The token that signs this request in; a bootstrap token is not used up",
    scope: "any",
    answers: { 200: { [JSON_TYPE]: Token } },
    async handle({ ctx, grant }) {
      if (grant.token === null) {
        throw new SplError("not_found", "no token signs this request in: the home's owner needs none");
      }
      return json(await ownToken(ctx.instance, grant.token));
    },
  }),
  route({
    method: "POST",
    path: "/v1/token/trade",
    summary:
      "Trades the bootstrap token that is the bearer for a lasting one, once; the same trade answers the same",
    scope: null,
    bodies: { [JSON_TYPE]: { limit: MAX_BODY, shape: Trade } },
    answers: { 201: { [JSON_TYPE]: Token } },
    async handle(call) {
      const bearer = requireBearer(call.request);
      const lasting = fromHex((await readJson(call, Trade)).token_sha256, 32)!;
      return json(await guarded(call, () => tradeBootstrap(call.ctx.instance, bearer, lasting)), 201);
    },
  }),
  route({
    method: "GET",
    path: "/v1/tokens",
    summary: "All tokens, oldest first",
    scope: "admin",
    answers: { 200: { [JSON_TYPE]: z.array(Token) } },
    handle: async ({ ctx }) => json(await listTokens(ctx.instance)),
  }),
  route({
    method: "POST",
    path: "/v1/tokens",
    summary: "Mints a bearer token; it is shown this once",
    scope: "admin",
    bodies: { [JSON_TYPE]: { limit: MAX_BODY, shape: NewToken } },
    answers: { 201: { [JSON_TYPE]: MintedToken } },
    async handle(call) {
      const { account, scopes, actors, description = "", expires_at } = await readJson(call, NewToken);
      const request = { account, scopes, actors, description, expiresAt: timeOf(expires_at) };
      return json(await mintToken(call.ctx.instance, request, call.grant), 201);
    },
  }),
  route({
    method: "GET",
    path: "/v1/tokens/:id",
    summary: "One token",
    scope: "admin",
    answers: { 200: { [JSON_TYPE]: Token } },
    handle: async ({ ctx, params }) => json(await tokenInfo(ctx.instance, params.id!)),
  }),
  route({
    method: "DELETE",
    path: "/v1/tokens/:id",
    summary: "Revokes a token and ends what is open in its name",
    scope: "admin",
    answers: { 200: { [JSON_TYPE]: Token } },
    async handle({ ctx, params, grant }) {
      const revoked = await revokeToken(ctx.instance, params.id!, grant);
      await ctx.sessions.sweep();
      return json(revoked);
    },
  }),
  route({
    method: "POST",
    path: "/v1/tokens/:id/rotate",
    summary: "A new secret for a token; the old one is void",
    scope: "admin",
    answers: { 201: { [JSON_TYPE]: MintedToken } },
    async handle({ ctx, params, grant }) {
      const minted = await rotateToken(ctx.instance, params.id!, grant);
      await ctx.sessions.sweep();
      return json(minted, 201);
    },
  }),
  route({
    method: "POST",
    path: "/v1/bootstrap-tokens",
    summary: "Mints a bootstrap token: one hour, one use; those before it are void",
    scope: "admin",
    answers: { 201: { [JSON_TYPE]: MintedToken } },
    handle: async ({ ctx, grant }) => json(await mintBootstrap(ctx.instance, grant), 201),
  }),
];

/** Unix milliseconds of a time in a body, or null for none. */
export function timeOf(iso: string | null | undefined): number | null {
  return iso === null || iso === undefined ? null : Date.parse(iso);
}
