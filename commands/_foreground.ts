import type { Context } from "./_kit.ts";

/** What commands share that serve in the foreground until a signal ends them. */

/** Shows whoever watches what goes to the log; scripts hear nothing. */
export async function watcher({ output }: Context): Promise<{ echo?: (text: string) => void }> {
  if (output !== "text") return {};
  const { createConsola } = await import("consola");
  const terminal = createConsola({ stdout: process.stderr, stderr: process.stderr });
  return { echo: (text) => terminal.info(text) };
}

export function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
