/** Why a record that a peer sent is not stored here. */
export type RefusalReason =
  | "malformed"
  | "hash"
  | "unknown_signer"
  | "signature"
  | "reserved"
  | "not_shared"
  | "clock"
  | "not_asked_for"
  | "missing";

/** In words, behind the number of records. */
const WORDS: Record<RefusalReason, string> = {
  malformed: "malformed",
  hash: "with a wrong hash",
  unknown_signer: "by a signer whose key is not proven",
  signature: "with a wrong signature",
  reserved: "of reserved threads",
  not_shared: "of threads that are not shared",
  clock: "with an impossible clock",
  not_asked_for: "that nobody asked for",
  missing: "named and not delivered",
};
/** Ids that are kept as examples. */
const NAMED = 10;

/** Counts of what was refused, and the first few by name. */
export class Refusals {
  readonly counts: Partial<Record<RefusalReason, number>> = {};
  readonly ids: string[] = [];

  add(reason: RefusalReason, id: string): void {
    this.counts[reason] = (this.counts[reason] ?? 0) + 1;
    if (this.ids.length < NAMED) this.ids.push(id);
  }

  addAll(other: Refusals): void {
    for (const [reason, n] of Object.entries(other.counts) as [RefusalReason, number][]) {
      this.counts[reason] = (this.counts[reason] ?? 0) + n;
    }
    this.ids.push(...other.ids.slice(0, NAMED - this.ids.length));
  }

  get total(): number {
    return Object.values(this.counts).reduce((sum, n) => sum + n, 0);
  }

  told(): string | null {
    return refusalText(this.counts, this.ids);
  }
}

/** One line, or null where nothing was refused. */
export function refusalText(counts: Readonly<Record<string, number>>, ids: readonly string[]): string | null {
  const parts = Object.entries(counts).map(
    ([reason, n]) => `${n} ${WORDS[reason as RefusalReason] ?? reason}`,
  );
  return parts.length === 0 ? null : `refused ${parts.join(", ")} (first: ${ids[0]})`;
}
