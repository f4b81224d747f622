import { z } from "zod";
import { JSON_TYPE } from "../../lib/api/media.ts";
import { Trust } from "../../lib/api/schemas.ts";
import { listTrust } from "../../lib/instance/trust.ts";
import { json } from "../answer.ts";
import { type Route, route } from "../route.ts";

export const trustRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/trust",
    summary: "How far actors can be relied on, by actor and domain, from the outcomes of their work",
    scope: "records:read",
    patient: true,
    query: z.strictObject({ actor: z.string().optional(), domain: z.string().optional() }),
    answers: { 200: { [JSON_TYPE]: z.array(Trust) } },
    async handle({ ctx, query }) {
      return json(await listTrust(ctx.instance, query));
    },
  }),
];
