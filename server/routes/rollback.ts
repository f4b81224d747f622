import { z } from "zod";
import { JSON_TYPE } from "../../lib/api/media.ts";
import { Import, NewRollback, Rollback } from "../../lib/api/schemas.ts";
import { rollbackCopies } from "../../lib/base/home.ts";
import { listImports } from "../../lib/instance/rollback.ts";
import { json } from "../answer.ts";
import { type Route, route } from "../route.ts";
import { readJson } from "../stages/body.ts";

const MAX_BODY = 4096;

export const rollbackRoutes: Route[] = [
  route({
    method: "GET",
    path: "/v1/imports",
    summary: "Every import, oldest first, and the instance before it",
    scope: "admin",
    answers: { 200: { [JSON_TYPE]: z.array(Import) } },
    handle: async ({ ctx }) => json(await listImports(ctx.instance)),
  }),
  route({
    method: "POST",
    path: "/v1/rollback",
    summary:
      "Takes the instance back to before an import; everything is saved to a bundle on its machine first",
    scope: "admin",
    patient: true,
    bodies: { [JSON_TYPE]: { limit: MAX_BODY, shape: NewRollback } },
    answers: { 200: { [JSON_TYPE]: Rollback } },
    async handle(call) {
      const { ctx, grant } = call;
      const { batch = null } = await readJson(call, NewRollback);
      const summary = await ctx.jobs.rollBack({ batch, copies: rollbackCopies(ctx.env), by: grant.account });
      ctx.log("rollback", { batch: summary.batch, removed: summary.removed, copy: summary.copy });
      ctx.changes.announce();
      await ctx.sessions.sweep();
      if (summary.identity === "restored") await ctx.steward.returned();
      return json(summary);
    },
  }),
];
