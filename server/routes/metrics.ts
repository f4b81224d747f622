import { METRICS_TYPE } from "../../lib/api/media.ts";
import { EXPOSITION_TYPE, exposition } from "../exposition.ts";
import { metricFamilies } from "../metrics.ts";
import { type Route, route } from "../route.ts";

export const metricsRoutes: Route[] = [
  route({
    method: "GET",
    path: "/metrics",
    summary: "Counts, sizes, pairs and latencies for Prometheus (text format 0.0.4)",
    // As /v1/status, whose counts it repeats; Prometheus sends a bearer token when told (`authorization`).
    scope: "records:read",
    answers: { 200: { [METRICS_TYPE]: null } },
    async handle({ ctx }) {
      return new Response(exposition(await metricFamilies(ctx)), {
        headers: { "content-type": EXPOSITION_TYPE },
      });
    },
  }),
];
