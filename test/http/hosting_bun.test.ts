import { BunHost } from "../kit/hosts.ts";
import { hostingScenarios } from "./hosting_scenarios.ts";

hostingScenarios(BunHost.open);
