import { type ErrorCode, SplError } from "../base/errors.ts";

/**
 * Failures on the wire: `application/problem+json` (RFC 9457). The server writes them here and the client reads
 * them here, so that an error keeps its code, message and hint across the connection.
 */

/** HTTP status of each error code (RFC 9110, section 15). */
export const HTTP_STATUS: Record<ErrorCode, number> = {
  usage: 400,
  invalid_json: 400,
  invalid_record: 422,
  invalid_request: 400,
  body_too_large: 413,
  unsupported_media_type: 415,
  not_found: 404,
  method_not_allowed: 405,
  unauthorized: 401,
  bootstrap_spent: 401,
  pairing_refused: 403,
  pairing_spent: 410,
  already_signed_in: 409,
  rate_limited: 429,
  forbidden: 403,
  host_refused: 403,
  fork_refused: 409,
  conflict: 409,
  superseded: 409,
  statement_refused: 422,
  signature_refused: 401,
  wrong_instance: 421,
  address_refused: 403,
  peer_unreachable: 502,
  peer_misbehaves: 502,
  pair_unknown: 403,
  cursor_invalid: 410,
  sync_failed: 502,
  store_not_empty: 409,
  did_mismatch: 409,
  import_running: 409,
  import_undone: 500,
  identity_missing: 422,
  rollback_refused: 409,
  backup_running: 409,
  drill_running: 409,
  bundle_malformed: 422,
  bundle_locked: 422,
  verification_failed: 422,
  differs: 409,
  unreachable: 502,
  cleartext_refused: 400,
  daemon_running: 409,
  daemon_failed: 500,
  port_in_use: 409,
  not_initialized: 503,
  store_newer: 500,
  store_damaged: 500,
  store_busy: 503,
  key_missing: 500,
  key_damaged: 500,
  key_permissions: 500,
  disk_full: 507,
  file_exists: 409,
  file_unreadable: 500,
  unhealthy: 503,
  checks_failed: 503,
  warned: 503,
  boot_timeout: 504,
  hosting_unavailable: 503,
  label_taken: 409,
  limit_reached: 409,
  bootstrap_rejected: 502,
  moved: 410,
  internal: 500,
};

const TYPE_PREFIX = "urn:syncropel:problem:";
const MEMBERS = new Set(["type", "title", "status", "code", "detail", "hint"]);

/** RFC 9457, section 3.1, with `code`, `hint` and the facts of the error as extension members. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  hint?: string;
  [fact: string]: string | number | boolean | undefined;
}

/** Whatever was thrown becomes an SplError. Of an unknown exception nothing is told: it may name paths or secrets. */
export function toSplError(thrown: unknown): SplError {
  if (thrown instanceof SplError) return thrown;
  return new SplError("internal", "internal error", { hint: "the instance's log says more", cause: thrown });
}

export function toProblem(thrown: unknown): Problem {
  const { code, message, hint, detail } = toSplError(thrown);
  const title = code.replaceAll("_", " ");
  return {
    ...detail,
    type: TYPE_PREFIX + code,
    title: title[0]!.toUpperCase() + title.slice(1),
    status: HTTP_STATUS[code],
    code,
    detail: message,
    ...(hint === undefined ? {} : { hint }),
  };
}

/**
 * The error that a problem document tells of, or null when `value` is none. A code that this release does not
 * know (a newer instance) becomes `internal` with its message kept.
 */
export function fromProblem(value: unknown): SplError | null {
  if (typeof value !== "object" || value === null) return null;
  const { code, detail, hint, ...rest } = value as Record<string, unknown>;
  if (typeof code !== "string" || typeof detail !== "string") return null;
  const facts: Record<string, string | number | boolean> = {};
  for (const [name, fact] of Object.entries(rest)) {
    if (MEMBERS.has(name)) continue;
    if (typeof fact === "string" || typeof fact === "number" || typeof fact === "boolean") facts[name] = fact;
  }
  return new SplError(isErrorCode(code) ? code : "internal", detail, {
    ...(typeof hint === "string" ? { hint } : {}),
    ...(Object.keys(facts).length > 0 ? { detail: facts } : {}),
  });
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(HTTP_STATUS, code);
}

/**
 * What a program that ran with `-o json` said last on stderr.
 * @returns its last line, and the error that it tells of, or null where it is no problem document
 */
export function lastWords(said: string): { line: string; error: SplError | null } {
  const line = said.trim().split("\n").at(-1)!;
  try {
    return { line, error: fromProblem(JSON.parse(line)) };
  } catch {
    return { line, error: null };
  }
}
