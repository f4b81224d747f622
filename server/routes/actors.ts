import { z } from "zod";
import { JSON_TYPE, NDJSON_TYPE } from "../../lib/api/media.ts";
import { Actor, Emitted, NewActor, pageOf } from "../../lib/api/schemas.ts";
import { SplError } from "../../lib/base/errors.ts";
import { RESERVED_THREADS } from "../../lib/folds/reserved.ts";
import { listActors, registerActor } from "../../lib/instance/actors.ts";
import { isDid } from "../../lib/record/shape.ts";
import { json, listing } from "../answer.ts";
import { type Route, route } from "../route.ts";
import { readJson } from "../stages/body.ts";
import { limitOf } from "../stages/query.ts";

const MAX_BODY = 16 * 1024;

export const actorRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/actors",
    summary: "Everyone who wrote a record or is registered, by DID",
    scope: "records:read",
    query: z.strictObject({ after: z.string().optional(), limit: limitOf(1000) }),
    answers: { 200: { [JSON_TYPE]: pageOf(Actor), [NDJSON_TYPE]: Actor } },
    handle: (call) => listing(call, (page) => listActors(call.ctx.instance, page)),
  }),
  route({
    method: "POST",
    path: "/v1/actors",
    summary: "Registers an actor, by a record on th_actor_registry",
    scope: "config:write",
    bodies: { [JSON_TYPE]: { limit: MAX_BODY, shape: NewActor } },
    answers: { 201: { [JSON_TYPE]: Emitted } },
    async handle(call) {
      const { actor, name, by = actor } = await readJson(call, NewActor);
      for (const [field, did] of Object.entries({ actor, by })) {
        if (!isDid(did)) throw new SplError("invalid_request", `${field} must be a DID of at most 256 bytes`);
      }
      call.grant.requireWrite(RESERVED_THREADS.actors, by);
      const emitted = await registerActor(call.ctx.instance, {
        actor,
        by,
        ...(name === undefined ? {} : { name }),
      });
      call.ctx.changes.announce();
      return json(emitted, 201, { location: `/v1/records/${emitted.id}` });
    },
  }),
];
