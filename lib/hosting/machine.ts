import type { Hosting } from "./hosting.ts";
import type { HostedInstance } from "./registry.ts";
import type { Handles, Step } from "./types.ts";

/** A step of the driver for an instance that exists already; what it notes is kept. */
export function stepFor({ registry, ports }: Hosting, instance: HostedInstance, deadlineMs: number): Step {
  let { handles } = instance;
  return {
    machine: instance,
    handles,
    note: async (more: Handles) => {
      handles = { ...handles, ...more };
      await registry.note(instance.id, handles);
      return handles;
    },
    signal: ports.deadline(deadlineMs),
  };
}
