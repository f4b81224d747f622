import { toHex, utf8 } from "../base/bytes.ts";
import { sha256 } from "../base/sha256.ts";
import { APPROVED_NAMESPACE } from "../folds/consent.ts";
import type { Pair } from "../folds/pairs.ts";
import { type InstanceFolds, RESERVED_THREADS } from "../folds/reserved.ts";
import { canonicalText } from "../record/canonical.ts";
import type { Selection } from "../store/types.ts";

/** The threads that are served to a pair and accepted from it: what consent allows, narrowed by the pair's own list. */
export function sharedWith(
  { consent }: Pick<InstanceFolds, "consent">,
  { peer_did, threads }: Pair,
): Selection {
  const granted = consent.all().filter(({ to }) => to === peer_did || to === "*");
  return {
    namespaces: [...new Set([APPROVED_NAMESPACE, ...granted.map(({ from }) => from)])].sort(),
    threads: threads && [...threads].sort(),
    without: Object.values(RESERVED_THREADS),
  };
}

/** What a cursor is bound to, 64 hex: equal exactly for equal selections. */
export function selectionHash({ namespaces, threads, without }: Selection): string {
  return toHex(sha256.hash(utf8(canonicalText({ namespaces, threads, without }))));
}
