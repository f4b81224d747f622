import type { Hosting, HostingPorts } from "./hosting.ts";
import { newId } from "./owners.ts";

/**
 * One at a time works on an instance, also where several processes have one registry, as the isolates of Workers do. Whoever
 * is killed holds the others up until the lease has run out.
 */

const LEASE_MS = 20_000;
const RENEW_MS = 5_000;

export interface Lease {
  /** Who has it, as the registry knows it. */
  holder: string;
  /** Aborts when it was lost all the same: the work has to end then, and to change nothing more. */
  lost: AbortSignal;
}

/**
 * Runs `work` unless somebody else works on the instance.
 * @returns whether it ran
 */
export async function alone(
  hosting: Hosting,
  instance: string,
  work: (lease: Lease) => Promise<void>,
): Promise<boolean> {
  const { registry, ports } = hosting;
  const holder = newId(hosting);
  const take = () => registry.takeLease(instance, holder, ports.clock() + LEASE_MS, ports.clock());
  if (!(await take())) return false;
  const ended = new AbortController();
  const lost = new AbortController();
  const keeping = keep(take, lost, AbortSignal.any([ended.signal, lost.signal]), ports);
  try {
    await work({ holder, lost: lost.signal });
    return true;
  } finally {
    ended.abort();
    await keeping;
    // Where this fails it runs out by itself.
    await registry.releaseLease(instance, holder).catch(() => undefined);
  }
}

/** Prolongs it in time, until `over`. */
async function keep(
  take: () => Promise<boolean>,
  lost: AbortController,
  over: AbortSignal,
  { deadline }: Pick<HostingPorts, "deadline">,
): Promise<void> {
  for (;;) {
    await aborted(AbortSignal.any([over, deadline(RENEW_MS)]));
    if (over.aborted) return;
    if (!(await take().catch(() => false))) lost.abort();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
