import type { BundleVerified, ImportSummary } from "../lib/api/wire.ts";
import { counted } from "../lib/base/text.ts";

/** How an import, and a restore, tell what they found and did. */

export const ADOPTED = "adopted (private key matches incoming bundle)";

export function verifiedText({ signature, source_did }: BundleVerified): string {
  return `✓ Bundle verified
  signature:     ${signature}
  source DID:    ${source_did}

`;
}

/** @param identity what became of it */
export function summaryText(
  { inserted, deduplicated, threads, federation_pairs }: Omit<ImportSummary, "identity">,
  identity: string,
): string {
  return `  records inserted:    ${inserted}
  records deduplicated: ${deduplicated}
  threads:             ${threads}
  federation pairs:    ${federation_pairs}
  identity:            ${identity}

`;
}

/** What a person should know beyond the summary. */
export function* summaryNotes({
  accounts_kept,
  tokens,
  inert_pairs,
  source_did,
}: Omit<ImportSummary, "identity">): Generator<string> {
  if (tokens > 0)
    yield `${counted(tokens, "carried token")} valid here now, with the scopes of ${tokens === 1 ? "its account" : "their accounts"}`;
  if (accounts_kept.length > 0) yield `accounts that existed stay as they were: ${accounts_kept.join(", ")}`;
  if (inert_pairs > 0) {
    yield `${counted(inert_pairs, "federation pair")} of ${source_did} without effect under another identity`;
  }
}
