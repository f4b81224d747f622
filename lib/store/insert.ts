import type { Database } from "bun:sqlite";
import { toHex } from "../base/bytes.ts";
import { DigestSum } from "../record/digest.ts";
import { compareEnvelopes } from "../record/envelope.ts";
import { parentsOf } from "../record/parents.ts";
import type { Entry } from "../record/types.ts";
import { namespaceOf, readNamespaces, writeNamespaces } from "./namespaces.ts";
import { idBytes } from "./reader.ts";
import type { InsertResult } from "./types.ts";

/** Notes that records of these threads which are here already have come to be shared with others, or with fewer. */
export function openLate(db: Database, threads: readonly number[]): void {
  if (threads.length === 0) return;
  db.run("INSERT INTO meta VALUES ('late_openings', 1) ON CONFLICT (key) DO UPDATE SET value = value + 1");
  const note = db.query(
    "UPDATE threads SET late = (SELECT value FROM meta WHERE key = 'late_openings') WHERE no = ?",
  );
  for (const no of threads) note.run(no);
}

/** A thread's row while its entries arrive. */
interface OpenThread {
  no: number;
  records: number;
  forks: number;
  clock: number;
  isNew: boolean;
  namespace: string;
  digest: DigestSum;
}

interface StoredEnvelope {
  seq: number;
  no: number;
  signer: string;
  judged_by: Uint8Array | null;
  sig: Uint8Array;
}

/**
 * Adds entries and keeps everything derived from them in step: counts, digests, heads, gaps, forks, actors, signers.
 * One value lives as long as one transaction. Entries of one thread that arrive together share one update of
 * the thread's row, and heads that come and go within such a run never touch the disk.
 */
export class Inserter {
  readonly #db: Database;
  readonly #signers = new Map<string, { no: number; added: number }>();
  readonly #result: InsertResult = { inserted: 0, deduplicated: 0, replaced: 0 };
  readonly #actors = new Map<string, number>();
  readonly #instance = new DigestSum();
  #seq: number;
  #newThreads = 0;
  #newForks = 0;
  #hasGaps: boolean;

  constructor(db: Database) {
    this.#db = db;
    this.#seq = (db.query("SELECT last_seq FROM totals").get() as { last_seq: number }).last_seq;
    this.#hasGaps = db.query("SELECT 1 FROM gaps LIMIT 1").get() !== null;
  }

  insert(entries: Entry[]): void {
    for (const [thread, run] of Map.groupBy(entries, (entry) => entry.thread)) this.#insertRun(thread, run);
  }

  /** Writes what was gathered over all runs and hands out the counts. */
  finish(): InsertResult {
    const db = this.#db;
    const actor = db.query(
      "INSERT INTO actors VALUES (?, ?) ON CONFLICT (actor) DO UPDATE SET records = records + excluded.records",
    );
    for (const [name, records] of this.#actors) actor.run(name, records);
    const signer = db.query("UPDATE signers SET records = records + ? WHERE no = ?");
    for (const { no, added } of this.#signers.values()) if (added !== 0) signer.run(added, no);
    const digest = DigestSum.fromBytes(
      (db.query("SELECT digest FROM totals").get() as { digest: Uint8Array }).digest,
    );
    digest.addSum(this.#instance);
    db.query(
      `UPDATE totals SET records = records + ?, threads = threads + ?, forks = forks + ?, digest = ?, last_seq = ?`,
    ).run(this.#result.inserted, this.#newThreads, this.#newForks, digest.toBytes(), this.#seq);
    return this.#result;
  }

  #insertRun(name: string, entries: Entry[]): void {
    const db = this.#db;
    const thread = this.#openThread(name);
    const sum = new DigestSum();
    const heads = new Map<string, number>();
    const insert = db.query(
      `INSERT INTO records (seq, thread, clock, actor, id, canonical, judged_by, signer, sig)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
    );
    const occupied = db.query(
      "SELECT count(*) AS n FROM records WHERE thread = ? AND clock = ? AND actor = ?",
    );
    const opened = new Set<string>();
    for (const entry of entries) {
      const id = idBytes(entry.id);
      const judgedBy = entry.judged_by === null ? null : idBytes(entry.judged_by);
      const signer = this.#signer(entry.signer);
      const { changes } = insert.run(
        this.#seq + 1,
        thread.no,
        entry.clock,
        entry.actor,
        id,
        entry.canonical,
        judgedBy,
        signer.no,
        entry.sig,
      );
      if (changes === 0) {
        this.#meetAgain(entry, id, judgedBy, sum);
        continue;
      }
      this.#seq++;
      this.#result.inserted++;
      signer.added++;
      thread.records++;
      sum.add(entry);
      this.#actors.set(entry.actor, (this.#actors.get(entry.actor) ?? 0) + 1);
      // Above the thread's highest clock nobody can have been before.
      if (entry.clock > thread.clock) thread.clock = entry.clock;
      else if ((occupied.get(thread.no, entry.clock, entry.actor) as { n: number }).n > 1) {
        thread.forks++;
        this.#newForks++;
      }
      const parents = parentsOf(entry);
      if (parents.length === 0) opened.add(namespaceOf(entry));
      this.#follow(thread.no, entry, id, parents, heads);
    }
    const addHead = db.query("INSERT INTO heads VALUES (?, ?, ?)");
    for (const [id, clock] of heads) addHead.run(thread.no, idBytes(id), clock);
    thread.digest.addSum(sum);
    this.#instance.addSum(sum);
    const namespace =
      opened.size === 0
        ? thread.namespace
        : writeNamespaces(new Set([...readNamespaces(thread.namespace), ...opened]));
    db.query(
      "UPDATE threads SET records = ?, forks = ?, clock = ?, digest = ?, namespace = ? WHERE no = ?",
    ).run(thread.records, thread.forks, thread.clock, thread.digest.toBytes(), namespace, thread.no);
    // Whoever follows the store by its numbers may have passed over what has come in under other namespaces.
    if (!thread.isNew && namespace !== thread.namespace) openLate(db, [thread.no]);
  }

  /** Keeps heads and gaps: the parents of `entry` are heads no longer, and it is one unless a child came first. */
  #follow(
    thread: number,
    entry: Entry,
    id: Uint8Array,
    parents: readonly string[],
    heads: Map<string, number>,
  ): void {
    const db = this.#db;
    for (const parent of parents) {
      if (heads.delete(parent)) continue;
      const bytes = idBytes(parent);
      if (db.query("DELETE FROM heads WHERE thread = ? AND id = ?").run(thread, bytes).changes > 0) continue;
      if (db.query("SELECT 1 FROM records WHERE id = ? AND thread = ?").get(bytes, thread) !== null) continue;
      db.query("INSERT INTO gaps VALUES (?, ?) ON CONFLICT DO NOTHING").run(thread, bytes);
      this.#hasGaps = true;
    }
    const filled =
      this.#hasGaps && db.query("DELETE FROM gaps WHERE thread = ? AND id = ?").run(thread, id).changes > 0;
    if (!filled) heads.set(entry.id, entry.clock);
  }

  /** The id is known: the bytewise smaller envelope stays, on every instance alike (spec, section 2). */
  #meetAgain(entry: Entry, id: Uint8Array, judgedBy: Uint8Array | null, sum: DigestSum): void {
    const db = this.#db;
    const signer = this.#signer(entry.signer);
    const stored = db
      .query(
        "SELECT r.seq, s.no, s.did AS signer, r.judged_by, r.sig FROM records r JOIN signers s ON s.no = r.signer WHERE r.id = ?",
      )
      .get(id) as StoredEnvelope;
    const { signer: did, sig } = stored;
    const before = { ...entry, signer: did, sig, judged_by: stored.judged_by && toHex(stored.judged_by) };
    if (compareEnvelopes(entry, before) >= 0) {
      this.#result.deduplicated++;
      return;
    }
    // A new number, so that whoever follows the store by its numbers learns of it.
    this.#seq++;
    // Only what was there before an import that may be undone is ever put back.
    db.query(
      `INSERT INTO replaced (seq, id, judged_by, signer, sig, until) SELECT ?, ?, ?, ?, ?, ?
       WHERE EXISTS (SELECT 1 FROM imports WHERE seq_before >= ? AND undone_at IS NULL)`,
    ).run(stored.seq, id, stored.judged_by, stored.no, sig, this.#seq, stored.seq);
    db.query("UPDATE records SET seq = ?, judged_by = ?, signer = ?, sig = ? WHERE id = ?").run(
      this.#seq,
      judgedBy,
      signer.no,
      entry.sig,
      id,
    );
    signer.added++;
    this.#signer(did).added--;
    sum.subtract(before);
    sum.add(entry);
    this.#result.replaced++;
  }

  #openThread(name: string): OpenThread {
    const db = this.#db;
    const row = db
      .query("SELECT no, records, forks, clock, digest, namespace FROM threads WHERE thread = ?")
      .get(name) as (Omit<OpenThread, "digest" | "isNew"> & { digest: Uint8Array }) | null;
    if (row) return { ...row, isNew: false, digest: DigestSum.fromBytes(row.digest) };
    const { lastInsertRowid } = db
      .query("INSERT INTO threads (thread, records, forks, clock, digest) VALUES (?, 0, 0, -1, zeroblob(32))")
      .run(name);
    this.#newThreads++;
    const no = Number(lastInsertRowid);
    return {
      no,
      records: 0,
      forks: 0,
      clock: -1,
      isNew: true,
      namespace: "",
      digest: new DigestSum(),
    };
  }

  #signer(did: string): { no: number; added: number } {
    const known = this.#signers.get(did);
    if (known !== undefined) return known;
    const row = this.#db.query("SELECT no FROM signers WHERE did = ?").get(did) as { no: number } | null;
    if (!row) throw new RangeError(`signer ${did} was not put before its records`);
    const signer = { no: row.no, added: 0 };
    this.#signers.set(did, signer);
    return signer;
  }
}
