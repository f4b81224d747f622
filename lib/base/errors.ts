/**
 * Every failure that a person may meet has one of these codes. The code is stable: scripts, tests and the
 * HTTP problem document rely on it. `lib/api/problem.ts` maps it to an HTTP status, `commands/_exit.ts` to an
 * exit status; both tables are exhaustive by type.
 */
export type ErrorCode =
  | "usage"
  | "invalid_json"
  | "invalid_record"
  | "invalid_request"
  | "body_too_large"
  | "unsupported_media_type"
  | "not_found"
  | "method_not_allowed"
  | "unauthorized"
  | "bootstrap_spent"
  | "pairing_refused"
  | "pairing_spent"
  | "already_signed_in"
  | "rate_limited"
  | "forbidden"
  | "host_refused"
  | "fork_refused"
  | "conflict"
  | "superseded"
  | "statement_refused"
  | "signature_refused"
  | "wrong_instance"
  | "address_refused"
  | "peer_unreachable"
  | "peer_misbehaves"
  | "pair_unknown"
  | "cursor_invalid"
  | "sync_failed"
  | "store_not_empty"
  | "did_mismatch"
  | "import_running"
  | "import_undone"
  | "identity_missing"
  | "rollback_refused"
  | "backup_running"
  | "drill_running"
  | "bundle_malformed"
  | "bundle_locked"
  | "verification_failed"
  | "differs"
  | "unreachable"
  | "cleartext_refused"
  | "daemon_running"
  | "daemon_failed"
  | "port_in_use"
  | "not_initialized"
  | "store_newer"
  | "store_damaged"
  | "store_busy"
  | "key_missing"
  | "key_damaged"
  | "key_permissions"
  | "disk_full"
  | "file_exists"
  | "file_unreadable"
  | "unhealthy"
  | "checks_failed"
  | "warned"
  | "boot_timeout"
  | "hosting_unavailable"
  | "label_taken"
  | "limit_reached"
  | "bootstrap_rejected"
  | "moved"
  | "internal";

export interface SplErrorOptions {
  /** What to type or do next, one line. */
  hint?: string;
  /** Stable facts for machines, copied into the problem document. */
  detail?: Record<string, string | number | boolean>;
  cause?: unknown;
}

/** The one error type of this project. `message` is one line that says what happened, without a full stop. */
export class SplError extends Error {
  override readonly name = "SplError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly detail: Record<string, string | number | boolean> | undefined;

  constructor(code: ErrorCode, message: string, options: SplErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.detail = options.detail;
  }

  /** The same failure told with more: another message or hint, further facts. */
  retold(more: { message?: string; hint?: string; detail?: SplErrorOptions["detail"] }): SplError {
    const hint = more.hint ?? this.hint;
    return new SplError(this.code, more.message ?? this.message, {
      ...(hint === undefined ? {} : { hint }),
      detail: { ...this.detail, ...more.detail },
      cause: this.cause,
    });
  }
}

/** The operating system's error code (`ENOENT`, `EACCES`, …) of a thrown value, or undefined. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** Turns what the file system throws into one line with operation and path; a full disk has its own code. */
export function fileError(error: unknown, operation: string, path: string): SplError {
  if (error instanceof SplError) return error;
  const code = systemCode(error);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new SplError("disk_full", `cannot ${operation} ${path}: no space left on the device`, {
      hint: "free some space and run the same command again; nothing was changed",
      cause: error,
    });
  }
  const reason =
    code === "ENOENT"
      ? "no such file or directory"
      : code === "EACCES" || code === "EPERM"
        ? "permission denied"
        : code === "EISDIR"
          ? "it is a directory"
          : code === "ENOTDIR"
            ? "a part of the path is not a directory"
            : code === "EEXIST"
              ? "something else has that name"
              : code === "EROFS"
                ? "read-only file system"
                : (code ?? (error instanceof Error ? error.message : String(error)));
  return new SplError("file_unreadable", `cannot ${operation} ${path}: ${reason}`, { cause: error });
}
