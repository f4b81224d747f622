import { VERSION } from "../../../lib/base/version.ts";
import type { HostingSettings } from "../../../lib/hosting/hosting.ts";
import { json } from "../../answer.ts";
import type { HostingRoute } from "../route.ts";

/** Made once for each service. */
const starts = new WeakMap<HostingSettings, () => Response>();

export const pageRoutes: HostingRoute[] = [
  {
    method: "GET",
    path: "/",
    summary: "Leads to /start",
    handle: () => new Response(null, { status: 303, headers: { location: "/start" } }),
  },
  {
    method: "GET",
    path: "/health",
    summary: "Whether the service lives",
    handle: () => json({ status: "ok", version: VERSION }),
  },
  {
    method: "GET",
    path: "/start",
    summary: "The page where an instance begins",
    async handle({ service: { hosting } }) {
      const { startPage } = await import("../../pages/start.ts");
      const made = starts.get(hosting.settings) ?? startPage(hosting.settings);
      starts.set(hosting.settings, made);
      return made();
    },
  },
  {
    method: "GET",
    path: "/instances",
    summary: "The page of an owner's instances",
    async handle() {
      const { instancesPage } = await import("../../pages/instances.ts");
      return instancesPage();
    },
  },
  {
    method: "GET",
    path: "/bundle/worker.js",
    summary: "The script with which that page reads a bundle",
    async handle() {
      const { bundleWorker } = await import("../../pages/bundle_worker.ts");
      return bundleWorker();
    },
  },
  {
    method: "GET",
    path: "/recover",
    summary: "The page that signs an owner in by recovery code",
    async handle() {
      const { recoverPage } = await import("../../pages/recover.ts");
      return recoverPage();
    },
  },
];
