import { toProblem } from "../lib/api/problem.ts";
import { type ErrorCode, SplError } from "../lib/base/errors.ts";
import { safeJson, safeText } from "../lib/base/safe_text.ts";
import { ClosedPipe } from "../lib/ui/streams.ts";
import { type Context, type Interruption, processContext } from "./_context.ts";

/** What each exit status says, as every help text lists it. */
export const EXIT_STATUSES = [
  "0 done",
  "1 failed",
  "2 wrong usage",
  "3 instance not reachable",
  "4 not allowed",
  "5 refused by a safety gate",
  "6 verification failed",
] as const;

export const EXIT_STATUS: Record<ErrorCode, 1 | 2 | 3 | 4 | 5 | 6> = {
  usage: 2,
  invalid_json: 1,
  invalid_record: 1,
  invalid_request: 1,
  body_too_large: 1,
  unsupported_media_type: 1,
  not_found: 1,
  method_not_allowed: 1,
  unauthorized: 4,
  bootstrap_spent: 4,
  pairing_refused: 4,
  pairing_spent: 4,
  already_signed_in: 5,
  rate_limited: 5,
  forbidden: 4,
  host_refused: 4,
  fork_refused: 5,
  conflict: 1,
  superseded: 5,
  statement_refused: 6,
  signature_refused: 4,
  wrong_instance: 3,
  address_refused: 5,
  peer_unreachable: 3,
  peer_misbehaves: 6,
  pair_unknown: 4,
  cursor_invalid: 1,
  sync_failed: 1,
  store_not_empty: 5,
  did_mismatch: 5,
  import_running: 5,
  import_undone: 6,
  identity_missing: 5,
  rollback_refused: 5,
  backup_running: 5,
  drill_running: 5,
  bundle_malformed: 6,
  // Nothing was found wrong: the key that would show the content is not at hand.
  bundle_locked: 1,
  verification_failed: 6,
  differs: 1,
  unreachable: 3,
  cleartext_refused: 5,
  daemon_running: 5,
  daemon_failed: 1,
  port_in_use: 1,
  not_initialized: 1,
  store_newer: 1,
  store_damaged: 6,
  store_busy: 1,
  key_missing: 1,
  key_damaged: 1,
  key_permissions: 1,
  disk_full: 1,
  file_exists: 5,
  file_unreadable: 1,
  unhealthy: 1,
  // As a monitoring plugin ends: 1 for a warning, 2 when it is critical.
  checks_failed: 2,
  warned: 1,
  boot_timeout: 1,
  hosting_unavailable: 1,
  label_taken: 5,
  limit_reached: 5,
  bootstrap_rejected: 1,
  moved: 3,
  internal: 1,
};

/** What a shell reports for a process that a signal ended: 128 and the signal's number. */
const SIGNAL_STATUS: Record<Interruption, number> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** The status with which the process will end because of what was thrown. */
export function statusOfFailure(error: unknown, { interruptedBy }: Context): number {
  if (interruptedBy !== null) return SIGNAL_STATUS[interruptedBy];
  return EXIT_STATUS[error instanceof SplError ? error.code : "internal"];
}

/** Runs one command line and ends the process: the only place that does. Both streams are delivered first. */
export async function runProcess(
  argv: readonly string[],
  task: (ctx: Context) => Promise<unknown>,
): Promise<never> {
  const ctx = processContext(argv);
  let status = 0;
  try {
    await Promise.race([task(ctx), strayFailure()]);
    await ctx.progress.clear();
    await ctx.out.flush();
  } catch (error) {
    status = await failed(error, ctx);
  }
  await ctx.err.flush().catch(() => undefined);
  process.exit(status);
}

/** Rejects with what was thrown where nobody awaits it, so that it is told as any other failure. */
function strayFailure(): Promise<never> {
  return new Promise((_, reject) => {
    process.once("uncaughtException", reject);
    process.once("unhandledRejection", reject);
  });
}

/** Tells the failure on standard error in one line and returns the exit status. */
async function failed(error: unknown, ctx: Context): Promise<number> {
  await ctx.progress.clear();
  // What was already found out is still delivered: the rows of `doctor`, a part of a listing.
  await ctx.out.flush().catch(() => undefined);
  if (error instanceof ClosedPipe) return 0;
  if (ctx.interruptedBy !== null) return statusOfFailure(error, ctx);
  const told = error instanceof SplError ? error : internalError(error);
  await ctx.err.line(ctx.output === "text" ? errorLine(told) : problemLine(told)).catch(() => undefined);
  if (ctx.env.SPL_DEBUG === "1") await ctx.err.line(stackOf(error)).catch(() => undefined);
  return statusOfFailure(told, ctx);
}

/** `<message>; <hint>`, or the message alone. Paths and stored text in it are made safe. */
export function errorLine(error: SplError): string {
  return safeText(error.hint === undefined ? error.message : `${error.message}; ${error.hint}`);
}

/** The failure as a problem document (RFC 9457) in one line. */
export function problemLine(error: SplError): string {
  return safeJson(JSON.stringify(toProblem(error)));
}

function internalError(error: unknown): SplError {
  const message = error instanceof Error ? error.message : String(error);
  return new SplError("internal", `internal error: ${message}`, {
    hint: "run it again with SPL_DEBUG=1 to see where",
    cause: error,
  });
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
