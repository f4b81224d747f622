import {
  MAX_LIST_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_RECORD_BYTES,
  MAX_SIGNATURES_BYTES,
  MAX_THREAD_NAME,
} from "../base/limits.ts";

/** The paths of a bundle's members, and how large each may be. */

export const MANIFEST = "manifest.json";
export const MANIFEST_SIGNATURE = "manifest.sig";
export const DID_DOCUMENT = "identity/did_document.json";
export const PUBLIC_KEY = "identity/public_key.pem";
export const PRIVATE_KEY = "identity/private_key.bin";
export const SIGNERS = "identity/signers.jsonl";
export const SERVICE_ACCOUNTS = "accounts/service_accounts.jsonl";
export const TOKENS = "accounts/tokens.jsonl";

const FIXED = new Map([
  [MANIFEST, MAX_MANIFEST_BYTES],
  [MANIFEST_SIGNATURE, 64],
  [DID_DOCUMENT, MAX_MANIFEST_BYTES],
  [PUBLIC_KEY, MAX_MANIFEST_BYTES],
  [PRIVATE_KEY, 32],
  [SIGNERS, MAX_LIST_BYTES],
  [SERVICE_ACCOUNTS, MAX_LIST_BYTES],
  [TOKENS, MAX_LIST_BYTES],
]);
const RECORD = new RegExp(`^records/th_[A-Za-z0-9_-]{1,${MAX_THREAD_NAME}}/[0-9a-f]{64}\\.json$`);
const SIGNATURES = new RegExp(
  `^records/(th_[A-Za-z0-9_-]{1,${MAX_THREAD_NAME}})/signatures-([0-9]{6})\\.jsonl$`,
);

/** Most bytes a member of this path may have, or null when no bundle has a member of that name. */
export function memberLimit(path: string): number | null {
  if (RECORD.test(path)) return MAX_RECORD_BYTES;
  return FIXED.get(path) ?? (SIGNATURES.test(path) ? MAX_SIGNATURES_BYTES : null);
}

export function recordPath(thread: string, id: string): string {
  return `records/${thread}/${id}.json`;
}

/** @param k the group's number within its thread, from 0 */
export function signaturesPath(thread: string, k: number): string {
  return `records/${thread}/signatures-${String(k).padStart(6, "0")}.jsonl`;
}

/** Thread and number of a signatures member, or null for any other path. */
export function parseSignaturesPath(path: string): { thread: string; k: number } | null {
  const match = SIGNATURES.exec(path);
  return match && { thread: match[1]!, k: Number(match[2]) };
}
