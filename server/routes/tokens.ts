import { JSON_TYPE } from "../../lib/api/media.ts";
import { MintedToken, NewToken } from "../../lib/api/schemas.ts";
import { SplError } from "../../lib/base/errors.ts";
import { mintToken } from "../../lib/instance/tokens.ts";
import { isDid } from "../../lib/record/shape.ts";
import { json } from "../answer.ts";
import { type Route, route } from "../route.ts";
import { readJson } from "../stages/body.ts";

const MAX_BODY = 64 * 1024;

export const tokenRoutes: Route[] = [
  route({
    method: "POST",
    path: "/v1/tokens",
    summary: "Mints a bearer token; it is shown this once",
    scope: "admin",
    bodies: { [JSON_TYPE]: { limit: MAX_BODY, shape: NewToken } },
    answers: { 201: { [JSON_TYPE]: MintedToken } },
    async handle(call) {
      const { account, scopes, actors = [], description = "", expires_at } = await readJson(call, NewToken);
      const wrong = actors.find((actor) => !isDid(actor));
      if (wrong !== undefined) throw new SplError("invalid_request", `actors: "${wrong}" is no DID`);
      const expiresAt = expires_at === null || expires_at === undefined ? null : Date.parse(expires_at);
      return json(
        await mintToken(call.ctx.instance, { account, scopes, actors, description, expiresAt }),
        201,
      );
    },
  }),
];
