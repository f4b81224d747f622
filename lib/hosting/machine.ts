import type { Hosting } from "./hosting.ts";
import type { HostedInstance } from "./registry.ts";
import type { Handles, Step } from "./types.ts";

/** Has the driver wake it. Whoever asked is told little of why it does not start, so the log is told. @throws what the driver throws */
export async function wake({ driver, ports }: Hosting, step: Step): Promise<void> {
  try {
    await driver.wake(step);
  } catch (error) {
    const { cause = error } = error as { cause?: unknown };
    ports.log("wake-failed", { instance: step.machine.id, error: String(cause) });
    throw error;
  }
}

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
