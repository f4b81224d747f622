import { z } from "zod";
import { JSON_TYPE } from "../../lib/api/media.ts";
import {
  CreatedServiceAccount,
  NewServiceAccount,
  ServiceAccount,
  ServiceAccountDetail,
} from "../../lib/api/schemas.ts";
import { SplError } from "../../lib/base/errors.ts";
import { listAccounts, revokeAccount } from "../../lib/instance/accounts.ts";
import {
  bootstrapAccount,
  createAccount,
  describeAccount,
  furtherAccount,
} from "../../lib/instance/service_accounts.ts";
import { json } from "../answer.ts";
import { type Call, type Route, route } from "../route.ts";
import { readJson } from "../stages/body.ts";
import { timeOf } from "./tokens.ts";

const MAX_BODY = 64 * 1024;

export const serviceAccountRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/service-accounts",
    summary: "All accounts, by name",
    scope: "admin",
    answers: { 200: { [JSON_TYPE]: z.array(ServiceAccount) } },
    handle: async ({ ctx }) => json(await listAccounts(ctx.instance)),
  }),
  route({
    method: "POST",
    path: "/v1/service-accounts",
    summary: "Makes an account, with a token that is shown this once if asked for",
    scope: "admin",
    bodies: { [JSON_TYPE]: { limit: MAX_BODY, shape: NewServiceAccount } },
    answers: { 201: { [JSON_TYPE]: CreatedServiceAccount } },
    handle: async (call) => json(await create(call, await readJson(call, NewServiceAccount)), 201),
  }),
  route({
    method: "GET",
    path: "/v1/service-accounts/:name",
    summary: "One account with its tokens",
    scope: "admin",
    answers: { 200: { [JSON_TYPE]: ServiceAccountDetail } },
    handle: async ({ ctx, params }) => json(await describeAccount(ctx.instance, params.name!)),
  }),
  route({
    method: "DELETE",
    path: "/v1/service-accounts/:name",
    summary:
      "Revokes an account with all its tokens, or takes some scopes from it; ends what is open in its name",
    scope: "admin",
    query: z.strictObject({
      scopes: z.string().optional().describe("only take these from it; separated by commas"),
    }),
    answers: { 200: { [JSON_TYPE]: ServiceAccount } },
    async handle({ ctx, params, query, grant }) {
      const scopes = query.scopes === undefined ? null : query.scopes.split(",");
      const left = await revokeAccount(ctx.instance, params.name!, scopes, grant);
      await ctx.sessions.sweep();
      return json(left);
    },
  }),
];

function create(
  { ctx: { instance }, grant, peer }: Call,
  {
    bootstrap,
    with_token,
    expires_at,
    name,
    scopes,
    actors,
    description = "",
  }: z.output<typeof NewServiceAccount>,
): Promise<z.input<typeof CreatedServiceAccount>> {
  if (expires_at !== undefined && !with_token) {
    throw new SplError("invalid_request", "expires_at is for a token, and none is asked for", {
      hint: "add with_token",
    });
  }
  const token = with_token ? { expiresAt: timeOf(expires_at) } : null;
  const fields = { name, scopes, actors, description };
  if (bootstrap && peer.transport === "tcp") return furtherAccount(instance, fields, token, grant);
  if (bootstrap) {
    // Open without a token to whoever reaches the socket: what it makes has to be the first account of all.
    if (scopes === undefined) return bootstrapAccount(instance, fields, token);
    throw new SplError("invalid_request", "the first account has all rights", {
      hint: "leave out the scopes",
    });
  }
  if (name === undefined || scopes === undefined) {
    throw new SplError("invalid_request", `${name === undefined ? "name" : "scopes"} is missing`);
  }
  return createAccount(instance, { ...fields, name, scopes }, token, grant);
}
