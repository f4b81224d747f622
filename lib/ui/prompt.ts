import { read, writeSync } from "node:fs";
import { promisify } from "node:util";
import { SplError } from "../base/errors.ts";

const readInput = promisify(read);

export interface Asking {
  /** Whether standard input and standard error are terminals; asking without them is an error and not a wait. */
  interactive: boolean;
}

/**
 * Asks for a yes or no on the terminal; anything but `y` or `yes` is a no.
 * @param deed what a yes does, such as `End this`
 * @param end what makes it a question
 * @throws SplError usage where nobody can be asked
 */
export async function confirm(deed: string, { interactive }: Asking, end = "?"): Promise<boolean> {
  if (!interactive) {
    const lower = deed[0]!.toLowerCase() + deed.slice(1);
    throw new SplError("usage", `there is no terminal to ask whether to ${lower}`, {
      hint: "pass --yes to do it",
    });
  }
  return /^y(es)?$/i.test((await ask(`${deed}${end} [y/N] `, false)).trim());
}

/**
 * Asks for a passphrase on the terminal; what is typed is not shown.
 * @param options.twice ask again and compare: for a passphrase that something is about to be locked with
 * @param options.hint what to type where nobody can be asked
 * @throws SplError usage (nobody can be asked, nothing was typed, the two differ)
 */
export async function promptPassphrase(
  label: string,
  { interactive, twice, hint }: Asking & { twice: boolean; hint: string },
): Promise<string> {
  const passphrase = await promptSecret(label, { interactive, hint });
  if (passphrase === "") throw new SplError("usage", "the passphrase is empty");
  if (twice && (await ask(`${label}, once more: `, true)) !== passphrase) {
    throw new SplError("usage", "the two passphrases differ");
  }
  return passphrase;
}

/**
 * Asks for a secret on the terminal; what is typed is not shown.
 * @param options.hint what to type where nobody can be asked
 * @throws SplError usage where nobody can be asked
 */
export async function promptSecret(
  label: string,
  { interactive, hint }: Asking & { hint: string },
): Promise<string> {
  if (!interactive) throw new SplError("usage", `${label} is needed, and there is no terminal`, { hint });
  return ask(`${label}: `, true);
}

/** One line from standard input, which is a terminal; the question goes to standard error, which is one too. */
async function ask(question: string, hidden: boolean): Promise<string> {
  // Raw mode keeps the terminal from showing what is typed; line editing is then ours to do.
  process.stdin.setRawMode(hidden);
  writeSync(2, question);
  try {
    return await readLine();
  } finally {
    process.stdin.setRawMode(false);
    if (hidden) writeSync(2, "\n");
  }
}

async function readLine(): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4096);
  const typed: string[] = [];
  for (;;) {
    const { bytesRead } = await readInput(0, buffer, 0, buffer.length, null);
    if (bytesRead === 0) return typed.join("");
    for (const char of decoder.decode(buffer.subarray(0, bytesRead), { stream: true })) {
      if (char === "\r" || char === "\n") return typed.join("");
      if (char === CONTROL_C) interrupt();
      else if (char === CONTROL_D && typed.length === 0) return "";
      else if (char === CONTROL_U) typed.length = 0;
      else if (char === DELETE || char === BACKSPACE) typed.pop();
      else typed.push(char);
    }
  }
}

const CONTROL_C = "\x03";
const CONTROL_D = "\x04";
const CONTROL_U = "\x15";
const BACKSPACE = "\b";
const DELETE = "\x7f";

/** Does what Ctrl-C does where the terminal is not raw. */
function interrupt(): never {
  process.stdin.setRawMode(false);
  process.kill(process.pid, "SIGINT");
  throw new SplError("usage", "interrupted");
}
