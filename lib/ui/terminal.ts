import { fstatSync } from "node:fs";

/*
 * The terminal's rules:
 *
 * - Results go to standard output; progress, hints, warnings and errors to standard error.
 * - An error is one line: what happened, and behind a semicolon what to type next.
 * - Stored text reaches a terminal only through `safeText` or `safeJson` (safe_text.ts).
 * - Colour decorates, it never informs: only where that very stream is a terminal, `NO_COLOR` is unset or
 *   empty and `TERM` is not `dumb` (no-color.org).
 * - Progress is drawn on standard error, only if that is a terminal, and wipes itself away.
 * - Questions go to standard error and answers come from standard input, only if both are terminals.
 *   A script is never asked: it gets an error that names the flag to pass.
 * - A reader that goes away (`| head`) ends the command quietly with status 0.
 */

export type Env = Record<string, string | undefined>;

/** Whether the descriptor is a terminal. `node:tty` is loaded for character devices only: it costs 4 ms. */
export function isTerminal(fd: 0 | 1 | 2): boolean {
  try {
    return fstatSync(fd).isCharacterDevice() && process.getBuiltinModule("node:tty").isatty(fd);
  } catch {
    return false;
  }
}

/** Columns of the terminal that standard output is, or null where it is none. */
export function terminalWidth(): number | null {
  return isTerminal(1) ? process.stdout.columns || null : null;
}

export type Paint = (text: string) => string;

export interface Style {
  bold: Paint;
  dim: Paint;
  red: Paint;
  green: Paint;
  yellow: Paint;
}

/** Select Graphic Rendition (ECMA-48, section 8.3.117), or nothing at all. */
export function makeStyle(coloured: boolean): Style {
  const paint =
    (on: number, off: number): Paint =>
    (text) =>
      coloured ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
  };
}

/** Whether the stream behind `fd` may be coloured. */
export function wantsColour(fd: 1 | 2, env: Env): boolean {
  return !env.NO_COLOR && env.TERM !== "dumb" && isTerminal(fd);
}
