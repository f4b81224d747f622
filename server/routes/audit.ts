import { z } from "zod";
import { JSON_TYPE, NDJSON_TYPE } from "../../lib/api/media.ts";
import { AuditEvent, pageOf } from "../../lib/api/schemas.ts";
import { listAudit } from "../../lib/instance/audit.ts";
import { listing } from "../answer.ts";
import { type Route, route } from "../route.ts";
import { limitOf } from "../stages/query.ts";

export const auditRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/audit",
    summary: "Sign-ins, mints, pairings, exports and imports, oldest first",
    scope: "admin",
    query: z.strictObject({
      after: z
        .string()
        .regex(/^\d{1,15}$/, "must be a whole number")
        .optional()
        .describe("the n behind which to begin"),
      since: z.iso.datetime({ offset: true }).optional().describe("leave out what is older"),
      limit: limitOf(1000),
    }),
    answers: { 200: { [JSON_TYPE]: pageOf(AuditEvent), [NDJSON_TYPE]: AuditEvent } },
    handle(call) {
      const since = call.query.since === undefined ? 0 : Date.parse(call.query.since);
      return listing(call, ({ after = "0", limit }) =>
        listAudit(call.ctx.instance, { after: Number(after), since, limit }),
      );
    },
  }),
];
