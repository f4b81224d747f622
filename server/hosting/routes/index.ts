import type { HostingRoute } from "../route.ts";
import { directoryRoutes } from "./directory.ts";
import { firstRunRoutes } from "./first_run.ts";
import { operatorRoutes } from "./operator.ts";
import { ownerRoutes } from "./owner.ts";
import { pageRoutes } from "./pages.ts";
import { provisionRoutes } from "./provision.ts";

export const HOSTING_ROUTES: readonly HostingRoute[] = [
  ...pageRoutes,
  ...provisionRoutes,
  ...firstRunRoutes,
  ...ownerRoutes,
  ...directoryRoutes,
  ...operatorRoutes,
];
