import { equalBytes } from "../base/bytes.ts";
import { compareAscii } from "../base/text.ts";
import { readBundle } from "../bundle/read.ts";
import type { BundleEvent, Manifest } from "../bundle/types.ts";
import { compareOrder } from "../record/order.ts";
import type { Entry } from "../record/types.ts";

export type Difference =
  | { kind: "only_a" | "only_b" | "envelope"; thread: string; id: string; clock: number; actor: string }
  | { kind: "manifest"; field: "source_did" | "public_key"; a: string; b: string };

export interface DiffSummary {
  equal: boolean;
  records_a: number;
  records_b: number;
  only_a: number;
  only_b: number;
  /** The same record under another signer, signature or judgement. */
  envelopes: number;
}

/**
 * Compares two bundles record by record in one pass and constant memory; both are verified on the way.
 * @param onDifference called for each difference, in bundle order
 * @throws SplError bundle_malformed, verification_failed
 */
export async function diffBundles(
  a: AsyncIterable<Uint8Array>,
  b: AsyncIterable<Uint8Array>,
  onDifference: (difference: Difference) => void | Promise<void>,
): Promise<DiffSummary> {
  const left = new Cursor(a);
  const right = new Cursor(b);
  try {
    await Promise.all([left.start(), right.start()]);
    const summary: DiffSummary = {
      equal: true,
      records_a: left.manifest.record_count,
      records_b: right.manifest.record_count,
      only_a: 0,
      only_b: 0,
      envelopes: 0,
    };
    const report = (difference: Difference) => {
      summary.equal = false;
      return onDifference(difference);
    };
    for (const field of ["source_did", "public_key"] as const) {
      const values = { a: left.manifest[field], b: right.manifest[field] };
      if (values.a !== values.b) await report({ kind: "manifest", field, ...values });
    }
    while (left.entry || right.entry) {
      const order = compareEntries(left.entry, right.entry);
      const { thread, id, clock, actor } = (order <= 0 ? left.entry : right.entry)!;
      if (order < 0) {
        summary.only_a++;
        await report({ kind: "only_a", thread, id, clock, actor });
      } else if (order > 0) {
        summary.only_b++;
        await report({ kind: "only_b", thread, id, clock, actor });
      } else if (!sameEnvelope(left.entry!, right.entry!)) {
        summary.envelopes++;
        await report({ kind: "envelope", thread, id, clock, actor });
      }
      if (order <= 0) await left.advance();
      if (order >= 0) await right.advance();
    }
    return summary;
  } finally {
    await Promise.all([left.close(), right.close()]);
  }
}

/** One bundle, record by record. */
class Cursor {
  readonly #events: AsyncIterator<BundleEvent>;
  #group: Entry[] = [];
  #at = 0;
  manifest!: Manifest;
  /** The current record; null behind the last one. */
  entry: Entry | null = null;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#events = readBundle(input, {})[Symbol.asyncIterator]();
  }

  async start(): Promise<void> {
    const first = await this.#events.next();
    if (!first.done && first.value.kind === "manifest") this.manifest = first.value.manifest;
    await this.advance();
  }

  async advance(): Promise<void> {
    while (this.#at >= this.#group.length) {
      const event = await this.#events.next();
      if (event.done) {
        this.entry = null;
        return;
      }
      if (event.value.kind !== "group") continue;
      this.#group = event.value.entries;
      this.#at = 0;
    }
    this.entry = this.#group[this.#at++]!;
  }

  async close(): Promise<void> {
    await this.#events.return?.();
  }
}

function compareEntries(a: Entry | null, b: Entry | null): number {
  if (!a || !b) return a ? -1 : 1;
  return compareAscii(a.thread, b.thread) || compareOrder(a, b);
}

function sameEnvelope(a: Entry, b: Entry): boolean {
  return a.signer === b.signer && a.judged_by === b.judged_by && equalBytes(a.sig, b.sig);
}
