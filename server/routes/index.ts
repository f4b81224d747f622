import type { Route } from "../route.ts";
import { actorRoutes } from "./actors.ts";
import { auditRoutes } from "./audit.ts";
import { backupRoutes } from "./backups.ts";
import { bundleRoutes } from "./bundle.ts";
import { consentRoutes } from "./consent.ts";
import { deviceRoutes } from "./devices.ts";
import { directoryRoutes } from "./directory.ts";
import { eventRoutes } from "./events.ts";
import { federationRoutes } from "./federation.ts";
import { feedRoutes } from "./feed.ts";
import { identityRoutes } from "./identity.ts";
import { instanceRoutes } from "./instance.ts";
import { metricsRoutes } from "./metrics.ts";
import { peerRoutes } from "./peers.ts";
import { recordRoutes } from "./records.ts";
import { rollbackRoutes } from "./rollback.ts";
import { serviceAccountRoutes } from "./service_accounts.ts";
import { syncRoutes } from "./sync.ts";
import { threadRoutes } from "./threads.ts";
import { tokenRoutes } from "./tokens.ts";
import { trustRoutes } from "./trust.ts";
import { wellKnownRoutes } from "./well_known.ts";

/** Everything this instance answers. `openapi.ts` documents exactly these. */
export const ROUTES: readonly Route[] = [
  ...instanceRoutes,
  ...metricsRoutes,
  ...eventRoutes,
  ...recordRoutes,
  ...feedRoutes,
  ...threadRoutes,
  ...actorRoutes,
  ...trustRoutes,
  ...identityRoutes,
  ...federationRoutes,
  ...consentRoutes,
  ...wellKnownRoutes,
  ...directoryRoutes,
  ...tokenRoutes,
  ...serviceAccountRoutes,
  ...auditRoutes,
  ...backupRoutes,
  ...deviceRoutes,
  ...bundleRoutes,
  ...rollbackRoutes,
  ...syncRoutes,
  ...peerRoutes,
];
