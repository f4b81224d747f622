import { readFileSync } from "node:fs";
import { type Clock, systemClock } from "../lib/base/clock.ts";
import { Progress } from "../lib/ui/progress.ts";
import { FdWriter, type Writer } from "../lib/ui/streams.ts";
import {
  type Env,
  isTerminal,
  makeStyle,
  type Style,
  terminalWidth,
  wantsColour,
} from "../lib/ui/terminal.ts";

export const OUTPUTS = ["text", "json", "ndjson"] as const;
export type OutputMode = (typeof OUTPUTS)[number];

/** What a command gets from the process, so that nothing below reads globals. */
export interface Context {
  /** Standard output: results only. */
  readonly out: Writer;
  /** Standard error: progress, hints, warnings. */
  readonly err: Writer;
  readonly env: Env;
  readonly cwd: string;
  readonly clock: Clock;
  readonly output: OutputMode;
  /** Colours for standard output; plain where it may not be coloured. */
  readonly style: Style;
  readonly progress: Progress;
  /** Whether a person can be asked: standard input and standard error are terminals. */
  readonly interactive: boolean;
  /** Columns of the terminal that standard output is, or null. */
  readonly width: number | null;
  /**
   * Aborts on SIGINT, SIGTERM, or SIGHUP where that is not ignored. Who reads it takes over: a command that never does dies
   * at once, as usual. A second one ends the process in any case, except SIGHUP: a shell sends it beside the system.
   */
  readonly signal: AbortSignal;
  /** The signal that arrived, for the exit status. */
  readonly interruptedBy: Interruption | null;
}

export type Interruption = "SIGINT" | "SIGTERM" | "SIGHUP";

class ProcessContext implements Context {
  readonly out = new FdWriter(1, "standard output");
  readonly err = new FdWriter(2, "standard error");
  readonly env: Env = process.env;
  readonly cwd = process.cwd();
  readonly clock = systemClock;
  readonly output: OutputMode;
  interruptedBy: Interruption | null = null;
  #style: Style | undefined;
  #progress: Progress | undefined;
  #abort: AbortController | undefined;

  constructor(output: OutputMode) {
    this.output = output;
  }

  get style(): Style {
    this.#style ??= makeStyle(wantsColour(1, this.env));
    return this.#style;
  }

  get progress(): Progress {
    const enabled = this.output === "text" && isTerminal(2);
    const width = enabled ? process.stderr.columns || 80 : 0;
    this.#progress ??= new Progress(this.err, { enabled, clock: this.clock, width });
    return this.#progress;
  }

  get interactive(): boolean {
    return isTerminal(0) && isTerminal(2);
  }

  get width(): number | null {
    return terminalWidth();
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      const abort = new AbortController();
      this.#abort = abort;
      const names: Interruption[] = ignoresHangup() ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "SIGHUP"];
      for (const name of names) {
        process[name === "SIGHUP" ? "on" : "once"](name, () => {
          this.interruptedBy ??= name;
          abort.abort();
        });
      }
    }
    return this.#abort.signal;
  }
}

/** Whether `nohup` started this process. A handler would undo that, so where the system does not tell, none is set. */
function ignoresHangup(): boolean {
  try {
    const [, mask] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))!;
    return (BigInt(`0x${mask}`) & 1n) === 1n;
  } catch {
    return true;
  }
}

/** The context of this process for the given arguments. */
export function processContext(argv: readonly string[]): Context {
  return new ProcessContext(outputMode(argv));
}

/**
 * The output mode that the arguments ask for, even where they are wrong in other ways: an error about them is
 * told in that mode. A value that does not exist counts as `text`; the strict reading refuses it by name.
 */
export function outputMode(argv: readonly string[]): OutputMode {
  const end = argv.indexOf("--");
  const flags = end < 0 ? argv : argv.slice(0, end);
  for (const [at, token] of flags.entries()) {
    const attached = /^(?:--output=|-o=?)(.+)$/s.exec(token)?.[1];
    const value = attached ?? (token === "-o" || token === "--output" ? flags[at + 1] : undefined);
    const mode = OUTPUTS.find((known) => known === value);
    if (mode) return mode;
  }
  return "text";
}
