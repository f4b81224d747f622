import { HTML_TYPE, JSON_TYPE, PROBLEM_TYPE } from "../../lib/api/media.ts";
import { Health, Problem, Status } from "../../lib/api/schemas.ts";
import { SplError } from "../../lib/base/errors.ts";
import { VERSION } from "../../lib/base/version.ts";
import { status } from "../../lib/instance/status.ts";
import { json } from "../answer.ts";
import { type Route, route } from "../route.ts";

export const instanceRoutes: Route[] = [
  route({
    method: "GET",
    path: "/",
    summary: "For browsers: the console, a page that shows what the browser's own token may read",
    scope: null,
    answers: { 200: { [HTML_TYPE]: null }, 404: { [PROBLEM_TYPE]: Problem } },
    async handle({ request }) {
      if (!request.headers.get("accept")?.includes(HTML_TYPE)) {
        throw new SplError("not_found", "at / there is only a page for browsers", {
          hint: "GET /openapi.json lists what there is",
        });
      }
      const { consolePage } = await import("../pages/console.ts");
      return consolePage();
    },
  }),
  route({
    method: "GET",
    path: "/health",
    summary: "Whether the instance lives, and who it is",
    scope: null,
    answers: { 200: { [JSON_TYPE]: Health } },
    async handle({ ctx }) {
      const instance_did = await ctx.instance.store.read(
        async (reader) => (await ctx.instance.signer(reader)).did,
      );
      return json({ status: "ok", version: VERSION, instance_did });
    },
  }),
  route({
    method: "GET",
    path: "/v1/status",
    summary: "Identity, counts, digest and address of the instance",
    scope: "records:read",
    answers: { 200: { [JSON_TYPE]: Status } },
    async handle({ ctx }) {
      return json({
        status: "ok",
        version: VERSION,
        url: ctx.url,
        home: ctx.instance.paths.home,
        pid: process.pid,
        ...(await status(ctx.instance)),
        uptime_s: Math.max(0, Math.floor((ctx.instance.ports.clock() - ctx.startedAt) / 1000)),
      });
    },
  }),
  route({
    method: "GET",
    path: "/openapi.json",
    summary: "This document",
    scope: null,
    answers: { 200: { [JSON_TYPE]: null } },
    async handle() {
      const { openapi } = await import("../openapi.ts");
      return json(openapi());
    },
  }),
];
