import { SplError } from "../lib/base/errors.ts";
import { MAX_LABEL } from "../lib/base/limits.ts";
import { isDid, isLabel, isThread } from "../lib/record/shape.ts";

/** What was given as an argument and cannot be meant, told before anything is asked. Each throws SplError usage. */

export function requireDid(given: string): void {
  if (isDid(given)) return;
  throw new SplError("usage", `${JSON.stringify(given)} is no DID`, {
    hint: "write a DID, like did:sync:user:alice",
  });
}

export function requireThread(given: string): void {
  if (isThread(given)) return;
  throw new SplError("usage", `${JSON.stringify(given)} is no thread id`, {
    hint: "spl thread list shows them",
  });
}

/** @param flag as it is typed */
export function requireLabel(flag: string, given: string): void {
  const wrong =
    given.length > MAX_LABEL ? "is longer than a name may be" : `${JSON.stringify(given)} is no name`;
  if (isLabel(given)) return;
  throw new SplError("usage", `${flag} ${wrong}`, {
    hint: `1 to ${MAX_LABEL} characters, none of them a control character`,
  });
}
