import type { Database } from "bun:sqlite";
import { openLate } from "./insert.ts";
import { rebuildDerived } from "./rebuild.ts";
import type { ImportBatch, RolledBack } from "./types.ts";

/**
 * Takes everything that an import changed back to before it, and what came later with it; all but the identity. Runs
 * inside the caller's transaction, and proves nothing: whoever calls compares the digest.
 */
export function rollBack(db: Database, { n, seqBefore }: ImportBatch, at: number): RolledBack {
  const restored = db
    .query(
      `UPDATE records SET seq = o.seq, judged_by = o.judged_by, signer = o.signer, sig = o.sig FROM replaced o
       WHERE records.id = o.id AND o.seq <= $seq AND o.until > $seq`,
    )
    .run({ seq: seqBefore }).changes;
  db.query("DELETE FROM replaced WHERE until > ?").run(seqBefore);
  const removed = db.query("DELETE FROM records WHERE seq > ?").run(seqBefore).changes;
  db.run("DELETE FROM threads WHERE NOT EXISTS (SELECT 1 FROM records r WHERE r.thread = threads.no)");
  rebuild(db);
  // Who revoked something after the import wants it to stay so, whatever comes in again.
  db.query(
    `DELETE FROM tokens WHERE revoked_at IS NULL AND (batch >= $n OR account IN
     (SELECT name FROM accounts WHERE batch >= $n AND revoked_at IS NULL))`,
  ).run({ n });
  db.query("DELETE FROM accounts WHERE batch >= ? AND revoked_at IS NULL").run(n);
  db.run("DELETE FROM peers");
  db.query("UPDATE imports SET undone_at = ? WHERE n >= ? AND undone_at IS NULL").run(at, n);
  return { removed, restored };
}

function rebuild(db: Database): void {
  db.run("CREATE TEMP TABLE shared_as AS SELECT no, namespace FROM threads");
  try {
    rebuildDerived(db);
    // Who follows the store by its numbers may have passed over what is shared again.
    const changed = db
      .query(
        `SELECT t.no FROM threads t JOIN temp.shared_as s ON s.no = t.no
         WHERE s.namespace <> t.namespace`,
      )
      .all() as { no: number }[];
    openLate(
      db,
      changed.map(({ no }) => no),
    );
  } finally {
    db.run("DROP TABLE temp.shared_as");
  }
  // Whose key an import brought is nobody any more; an identity that was here keeps its row.
  db.run(
    `DELETE FROM signers WHERE records = 0 AND no NOT IN (SELECT signer FROM replaced)
     AND did NOT IN (SELECT value ->> '$.did' FROM meta WHERE key = 'identity')`,
  );
}
