import { openSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import { SplError } from "../base/errors.ts";

export interface Asking {
  /** Whether a person can be asked; without one, asking is an error and not a wait. */
  interactive: boolean;
}

/**
 * Asks for a yes or no on the controlling terminal; anything but `y` or `yes` is a no.
 * @throws SplError usage where nobody can be asked
 */
export async function confirm(question: string, { interactive }: Asking): Promise<boolean> {
  if (!interactive) {
    throw new SplError("usage", `${question} needs an answer, and there is no terminal`, {
      hint: "pass --yes",
    });
  }
  return /^y(es)?$/i.test((await ask(`${question} [y/N] `, false)).trim());
}

/**
 * Asks for a passphrase on the controlling terminal; what is typed is not shown.
 * @param options.twice ask again and compare: for a passphrase that something is about to be locked with
 * @param options.hint what to type where nobody can be asked
 * @throws SplError usage (nobody can be asked, nothing was typed, the two differ)
 */
export async function promptPassphrase(
  label: string,
  { interactive, twice, hint }: Asking & { twice: boolean; hint: string },
): Promise<string> {
  if (!interactive) throw new SplError("usage", `${label} is needed, and there is no terminal`, { hint });
  const passphrase = await ask(`${label}: `, true);
  if (passphrase === "") throw new SplError("usage", "the passphrase is empty");
  if (twice && (await ask(`${label}, once more: `, true)) !== passphrase) {
    throw new SplError("usage", "the two passphrases differ");
  }
  return passphrase;
}

/** One line from the controlling terminal, so that redirected streams stay what they are. */
async function ask(question: string, hidden: boolean): Promise<string> {
  const fd = openSync("/dev/tty", "r+");
  const terminal = new ReadStream(fd);
  // Raw mode keeps the terminal from showing what is typed; line editing is then ours to do.
  terminal.setRawMode(hidden);
  writeSync(fd, question);
  try {
    const typed: string[] = [];
    for await (const chunk of terminal.setEncoding("utf8") as AsyncIterable<string>) {
      for (const char of chunk) {
        if (char === "\r" || char === "\n") return typed.join("");
        if (char === CONTROL_C) interrupt(terminal);
        else if (char === CONTROL_D && typed.length === 0) return "";
        else if (char === CONTROL_U) typed.length = 0;
        else if (char === DELETE || char === BACKSPACE) typed.pop();
        else typed.push(char);
      }
    }
    return typed.join("");
  } finally {
    terminal.setRawMode(false);
    if (hidden) writeSync(fd, "\n");
    terminal.destroy();
  }
}

const CONTROL_C = "\x03";
const CONTROL_D = "\x04";
const CONTROL_U = "\x15";
const BACKSPACE = "\b";
const DELETE = "\x7f";

/** Does what Ctrl-C does where the terminal is not raw. */
function interrupt(terminal: ReadStream): never {
  terminal.setRawMode(false);
  process.kill(process.pid, "SIGINT");
  throw new SplError("usage", "interrupted");
}
