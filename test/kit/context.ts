import { type Context, outputMode } from "../../commands/_context.ts";
import { Progress } from "../../lib/ui/progress.ts";
import type { Writer } from "../../lib/ui/streams.ts";
import { makeStyle } from "../../lib/ui/terminal.ts";

/** A writer that keeps what it gets. */
export class Collector implements Writer {
  text = "";

  async write(chunk: string | Uint8Array): Promise<void> {
    this.text += typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`);
  }

  async flush(): Promise<void> {}
}

/** A context outside any process: nothing is a terminal, time stands still. */
export function collectingContext(argv: readonly string[]): Context & { out: Collector; err: Collector } {
  const err = new Collector();
  return {
    out: new Collector(),
    err,
    env: {},
    cwd: "/",
    clock: () => 0,
    output: outputMode(argv),
    style: makeStyle(false),
    progress: new Progress(err, { enabled: false, clock: () => 0, width: 80 }),
    interactive: false,
    width: null,
    signal: new AbortController().signal,
    interruptedBy: null,
  };
}
