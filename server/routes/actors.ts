import { z } from "zod";
import { JSON_TYPE, NDJSON_TYPE } from "../../lib/api/media.ts";
import { Actor, ActorDetail, ActorImportSummary, Emitted, NewActor, pageOf } from "../../lib/api/schemas.ts";
import { SplError } from "../../lib/base/errors.ts";
import { RESERVED_THREADS } from "../../lib/folds/reserved.ts";
import { exportActor } from "../../lib/instance/actor_export.ts";
import { listActors, registerActor, showActor } from "../../lib/instance/actors.ts";
import { isDid, isLabel } from "../../lib/record/shape.ts";
import { json, listing, ndjsonBegun } from "../answer.ts";
import { type Route, route } from "../route.ts";
import { bodyChunks, readJson } from "../stages/body.ts";
import { flag, limitOf } from "../stages/query.ts";

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
      for (const [field, did] of Object.entries({ actor, by })) requireDid(field, did);
      if (name !== undefined && !isLabel(name)) {
        throw new SplError("invalid_request", "name must be without control characters", {
          hint: "other instances would refuse to take the actor in",
        });
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
  route({
    method: "POST",
    path: "/v1/actors/import",
    summary: "Takes in an actor from another instance: all of its file or nothing",
    scope: "admin",
    patient: true,
    query: z.strictObject({
      dry_run: flag.describe("check everything, write nothing"),
      merge: flag.describe("unite with other records that the actor has here"),
      trust_discount: z.coerce
        .number()
        .min(0)
        .max(1)
        .optional()
        .describe(
          "what the outcomes of the file count here, of what they count at its source; without, 1 the first time, and then what they have counted since",
        ),
      by: z.string().describe("the actor who registers it"),
    }),
    bodies: { [NDJSON_TYPE]: { limit: null, shape: null } },
    answers: { 200: { [JSON_TYPE]: ActorImportSummary } },
    async handle(call) {
      const { ctx, query, grant } = call;
      requireDid("by", query.by);
      grant.requireWrite(RESERVED_THREADS.actors, query.by);
      const summary = await ctx.jobs.importActor(bodyChunks(call), {
        dryRun: query.dry_run,
        merge: query.merge,
        trustDiscount: query.trust_discount ?? null,
        by: query.by,
        account: grant.account,
      });
      ctx.changes.announce();
      return json(summary);
    },
  }),
  route({
    method: "GET",
    path: "/v1/actors/:actor",
    summary: "One actor: what it wrote, who signed it, and how far it can be relied on",
    scope: "records:read",
    patient: true,
    answers: { 200: { [JSON_TYPE]: ActorDetail } },
    async handle({ ctx, params }) {
      return json(await showActor(ctx.instance, params.actor!));
    },
  }),
  route({
    method: "GET",
    path: "/v1/actors/:actor/export",
    summary: "One actor as a file: its records, whoever signed them, and the outcomes of its work",
    scope: "records:read",
    patient: true,
    query: z.strictObject({
      memories: z
        .enum(["true", "false"])
        .default("true")
        .transform((text) => text === "true")
        .describe("whether its KNOW and LEARN records go along"),
    }),
    answers: { 200: { [NDJSON_TYPE]: null } },
    handle(call) {
      const { ctx, params, query } = call;
      return ndjsonBegun(call, exportActor(ctx.instance, { actor: params.actor!, memories: query.memories }));
    },
  }),
];

function requireDid(field: string, value: string): void {
  if (isDid(value)) return;
  throw new SplError("invalid_request", `${field} must be a DID of at most 256 bytes`, {
    hint: "write it like did:sync:user:alice",
  });
}
