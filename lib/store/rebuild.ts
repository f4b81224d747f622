import type { Database } from "bun:sqlite";
import { toHex } from "../base/bytes.ts";
import { DigestSum } from "../record/digest.ts";
import { parentsOf } from "../record/parents.ts";
import { namespaceOf } from "./namespaces.ts";
import { NAMESPACES } from "./schema.ts";

const DERIVED = ["threads", "totals", "actors", "signers", "heads", "gaps"] as const;

/**
 * Recomputes everything derived from `records` by one scan, in bounded memory, and tells whether any value
 * was different before. Runs inside the caller's transaction.
 */
export function rebuildDerived(db: Database): boolean {
  for (const table of DERIVED) db.run(`CREATE TEMP TABLE old_${table} AS SELECT * FROM ${table}`);
  try {
    rebuildParents(db);
    rebuildThreads(db);
    db.run("DELETE FROM actors");
    db.run("INSERT INTO actors SELECT actor, count(*) FROM records GROUP BY actor");
    db.run("UPDATE signers SET records = (SELECT count(*) FROM records r WHERE r.signer = signers.no)");
    return DERIVED.some((table) => differs(db, table));
  } finally {
    for (const table of DERIVED) db.run(`DROP TABLE temp.old_${table}`);
  }
}

function differs(db: Database, table: string): boolean {
  const now = `SELECT * FROM main.${table}`;
  const before = `SELECT * FROM temp.old_${table}`;
  return (
    db
      .query(`SELECT 1 FROM (${now} EXCEPT ${before}) UNION ALL SELECT 1 FROM (${before} EXCEPT ${now})`)
      .get() !== null
  );
}

function rebuildParents(db: Database): void {
  db.run(
    "CREATE TEMP TABLE named (thread INTEGER NOT NULL, id BLOB NOT NULL, PRIMARY KEY (thread, id)) WITHOUT ROWID",
  );
  db.run(
    "CREATE TEMP TABLE opened (thread INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (thread, name)) WITHOUT ROWID",
  );
  try {
    const name = db.query("INSERT OR IGNORE INTO temp.named VALUES (?, ?)");
    const open = db.query("INSERT OR IGNORE INTO temp.opened VALUES (?, ?)");
    const scan = db.prepare(
      "SELECT t.no, t.thread, r.canonical FROM records r JOIN threads t ON t.no = r.thread ORDER BY r.seq",
    );
    for (const row of scan.iterate() as Iterable<{ no: number; thread: string; canonical: Uint8Array }>) {
      const parents = parentsOf(row);
      for (const parent of parents) name.run(row.no, Uint8Array.fromHex(parent));
      if (parents.length === 0) open.run(row.no, namespaceOf(row));
    }
    scan.finalize();
    db.run("DELETE FROM heads");
    db.run(
      "INSERT INTO heads SELECT thread, id, clock FROM records r WHERE NOT EXISTS (SELECT 1 FROM temp.named n WHERE n.thread = r.thread AND n.id = r.id)",
    );
    db.run("DELETE FROM gaps");
    db.run(
      "INSERT INTO gaps SELECT thread, id FROM temp.named n WHERE NOT EXISTS (SELECT 1 FROM records r WHERE r.id = n.id AND r.thread = n.thread)",
    );
    db.run(
      `UPDATE threads SET namespace = (SELECT ${NAMESPACES} FROM
       (SELECT name FROM temp.opened o WHERE o.thread = threads.no ORDER BY name))`,
    );
  } finally {
    db.run("DROP TABLE temp.named");
    db.run("DROP TABLE temp.opened");
  }
}

function rebuildThreads(db: Database): void {
  const update = db.query("UPDATE threads SET records = ?, forks = ?, clock = ?, digest = ? WHERE no = ?");
  const instance = new DigestSum();
  let records = 0;
  let forks = 0;
  const threads = db.query("SELECT no, thread FROM threads").all() as { no: number; thread: string }[];
  for (const { no } of threads) {
    const sum = new DigestSum();
    let count = 0;
    let clock = -1;
    const scan = db.prepare(
      "SELECT r.id, r.clock, r.judged_by, s.did AS signer, r.sig FROM records r JOIN signers s ON s.no = r.signer WHERE r.thread = ?",
    );
    for (const row of scan.iterate(no) as Iterable<{
      id: Uint8Array;
      clock: number;
      judged_by: Uint8Array | null;
      signer: string;
      sig: Uint8Array;
    }>) {
      sum.add({
        id: toHex(row.id),
        judged_by: row.judged_by && toHex(row.judged_by),
        signer: row.signer,
        sig: row.sig,
      });
      count++;
      clock = Math.max(clock, row.clock);
    }
    scan.finalize();
    const distinct = db
      .query("SELECT count(*) AS n FROM (SELECT DISTINCT clock, actor FROM records WHERE thread = ?)")
      .get(no) as { n: number };
    update.run(count, count - distinct.n, clock, sum.toBytes(), no);
    instance.addSum(sum);
    records += count;
    forks += count - distinct.n;
  }
  db.query(
    "UPDATE totals SET records = ?, threads = ?, forks = ?, digest = ?, last_seq = max(last_seq, (SELECT coalesce(max(seq), 0) FROM records))",
  ).run(records, threads.length, forks, instance.toBytes());
}
