import type { Hosting } from "./hosting.ts";
import type { HostedInstance } from "./registry.ts";
import type { Handles, Step } from "./types.ts";

/** Has the driver wake it. @throws what the driver throws */
export function wake(hosting: Hosting, step: Step): Promise<void> {
  return logged(hosting, step, "wake-failed", () => hosting.driver.wake(step));
}

/** A bootstrap token by the driver. @throws what the driver throws */
export function mint(hosting: Hosting, step: Step): Promise<string> {
  return logged(hosting, step, "mint-failed", () => hosting.driver.mintBootstrap(step));
}

/** Whoever asked is told little of why it does not work, so the log is told. */
async function logged<T>({ ports }: Hosting, step: Step, event: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    ports.log(event, { instance: step.machine.id, error: reasonOf(error) });
    throw error;
  }
}

/** Why something failed, for the log. */
export function reasonOf(error: unknown): string {
  return String((error instanceof Error ? error.cause : undefined) ?? error);
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
