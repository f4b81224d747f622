import { SplError } from "../base/errors.ts";

const HINT = "nothing was changed; export the bundle again from its source";
const LONGEST = 200;

/**
 * The refusal of a bundle: `bundle malformed: <member>: <what>`.
 * @param member a member's path, or the layer that is damaged (`tar`, `zstd`, `gzip`, `age`)
 */
export function malformed(member: string, what: string, cause?: unknown): SplError {
  return refusal(`${shown(member)}: ${what}`, cause);
}

/** `bundle malformed: <what>`, for what no single member is to blame for. */
export function refusal(what: string, cause?: unknown): SplError {
  return new SplError("bundle_malformed", `bundle malformed: ${what}`, { hint: HINT, cause });
}

/** A path out of a foreign file, fit for a terminal: printable ASCII, at most 200 characters. */
function shown(path: string): string {
  if (path === "") return "a member without a name";
  const cut = path.length > LONGEST ? `${path.slice(0, LONGEST)}…` : path;
  return cut.replace(/[^\x20-\x7e…]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** Runs `read`; whatever it finds wrong is blamed on `member`. */
export function blaming<T>(member: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SplError) || error.code === "bundle_malformed") throw error;
    throw malformed(member, error.message, error);
  }
}
