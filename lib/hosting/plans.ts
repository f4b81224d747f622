import { SplError } from "../base/errors.ts";
import type { HostingSettings } from "./hosting.ts";
import type { Plan } from "./types.ts";

export const DEFAULT_PLANS: readonly Plan[] = [{ name: "free", cpus: 1, memory_mb: 256, disk_gb: 1 }];

/** Milliseconds that a phase may take. */
export const DEFAULT_DEADLINES: HostingSettings["deadlines"] = {
  volume: 120_000,
  machine: 120_000,
  boot: 120_000,
  bootstrap: 60_000,
};

/** Plans as `NAME:CPUS:MEMORY_MB:DISK_GB`, separated by commas. @throws SplError usage */
export function parsePlans(text: string): Plan[] {
  const plans = text.split(",").map(parsePlan);
  if (new Set(plans.map(({ name }) => name)).size === plans.length) return plans;
  throw new SplError("usage", `--plans ${text} has one name twice`);
}

function parsePlan(text: string): Plan {
  const [, name, ...sizes] = /^([a-z0-9-]{1,32}):(\d{1,3}):(\d{1,7}):(\d{1,5})$/.exec(text.trim()) ?? [];
  const [cpus, memory_mb, disk_gb] = sizes.map(Number) as [number, number, number];
  if (name !== undefined && Math.min(cpus, memory_mb, disk_gb) > 0) return { name, cpus, memory_mb, disk_gb };
  throw new SplError("usage", `--plans: ${text} is no plan`, {
    hint: "write NAME:CPUS:MEMORY_MB:DISK_GB, as free:1:256:1",
  });
}
