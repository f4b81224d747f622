import { fromBase64Url, fromHex } from "../base/bytes.ts";
import { compareAscii } from "../base/text.ts";
import type { Difference, DiffSummary } from "../instance/diff.ts";
import { DigestSum } from "../record/digest.ts";
import { compareOrder } from "../record/order.ts";
import type { Envelope, SplRecord } from "../record/types.ts";

/** One of two instances that are compared. Each holds its own records; only differences come here. */
export interface DiffSide {
  identity(): Promise<{ did: string; public_key: string }>;
  status(): Promise<{ records: number; digest: string }>;
  reconcile(step: { message: string | null; role: "initiator" | "responder" }): Promise<{
    message: string | null;
    have: string[];
    need: string[];
  }>;
  record(id: string): Promise<Signed>;
}

/** What of an envelope a comparison needs. */
type Signed = Pick<Envelope, "signer" | "sig"> & {
  record: Pick<SplRecord, "thread" | "clock" | "actor" | "judged_by">;
};

/** Records that are asked for at the same time. */
const AT_ONCE = 8;

/**
 * Compares two instances by passing reconciliation messages from one to the other.
 * @returns null when records that both hold differ in who signed them, which ids do not tell: then all of both has to
 *   be compared. Also when one of them was written to meanwhile
 * @throws SplError as the sides do
 */
export async function diffInstances(
  a: DiffSide,
  b: DiffSide,
): Promise<{ summary: DiffSummary; differences: Difference[] } | null> {
  const have = new Set<string>();
  const need = new Set<string>();
  // One after the other: where both refuse, it is always the first that is told of.
  const before = [await a.status(), await b.status()] as const;
  let { message } = await a.reconcile({ message: null, role: "initiator" });
  while (message !== null) {
    const answer: { message: string | null } = await b.reconcile({ message, role: "responder" });
    const step = await a.reconcile({ message: answer.message, role: "initiator" });
    for (const id of step.have) have.add(id);
    for (const id of step.need) need.add(id);
    message = step.message;
  }
  const onlyA = await found(a, have);
  const onlyB = await found(b, need);
  const rest = [shared(before[0].digest, onlyA), shared(before[1].digest, onlyB)];
  if (rest[0] !== rest[1]) return null;
  const differences: Difference[] = [
    ...(await manifest(a, b)),
    ...[
      ...onlyA.map((row) => ({ kind: "only_a" as const, ...row.place })),
      ...onlyB.map((row) => ({ kind: "only_b" as const, ...row.place })),
    ].sort((x, y) => compareAscii(x.thread, y.thread) || compareOrder(x, y)),
  ];
  const summary = {
    equal: differences.length === 0,
    records_a: before[0].records,
    records_b: before[1].records,
    only_a: onlyA.length,
    only_b: onlyB.length,
    envelopes: 0,
  };
  return { summary, differences };
}

interface Found {
  place: { thread: string; id: string; clock: number; actor: string };
  envelope: Signed;
}

async function found(side: DiffSide, ids: ReadonlySet<string>): Promise<Found[]> {
  const rows: Found[] = [];
  const all = [...ids];
  for (let at = 0; at < all.length; at += AT_ONCE) {
    const batch = all.slice(at, at + AT_ONCE);
    const envelopes = await Promise.all(batch.map((id) => side.record(id)));
    for (const [i, envelope] of envelopes.entries()) {
      const { thread, clock, actor } = envelope.record;
      rows.push({ place: { thread, id: batch[i]!, clock, actor }, envelope });
    }
  }
  return rows;
}

/** The digest of what is left of an instance without these records. */
function shared(digest: string, without: Found[]): string {
  const sum = DigestSum.fromBytes(fromHex(digest, 32)!);
  for (const { place, envelope } of without) {
    const { record, signer, sig } = envelope;
    sum.subtract({ id: place.id, judged_by: record.judged_by, signer, sig: fromBase64Url(sig, 64)! });
  }
  return sum.hex();
}

async function manifest(a: DiffSide, b: DiffSide): Promise<Difference[]> {
  const [left, right] = await Promise.all([a.identity(), b.identity()]);
  const values = { source_did: [left.did, right.did], public_key: [left.public_key, right.public_key] };
  return (["source_did", "public_key"] as const).flatMap((field) => {
    const [x, y] = values[field] as [string, string];
    return x === y ? [] : [{ kind: "manifest" as const, field, a: x, b: y }];
  });
}
