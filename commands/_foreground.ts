import type { Context } from "./_kit.ts";

/** What commands share that serve in the foreground until a signal ends them. */

/** Shows whoever watches what goes to the log; scripts hear nothing. That nobody watches any more ends nothing. */
export async function watcher({ output, err }: Context): Promise<{ echo?: (text: string) => void }> {
  if (output !== "text") return {};
  const { createConsola } = await import("consola");
  const { isTTY, columns } = process.stderr;
  const write = (text: string) => {
    err.write(text).catch(() => undefined);
    return true;
  };
  const stream = { isTTY, columns, write } as unknown as NodeJS.WriteStream;
  const terminal = createConsola({ stdout: stream, stderr: stream });
  return { echo: (text) => terminal.info(text) };
}

export function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
