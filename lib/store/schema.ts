import type { Database } from "bun:sqlite";
import { SplError } from "../base/errors.ts";
import { MOST_NAMESPACES } from "./namespaces.ts";

/** `SPL1` in ASCII: tells this store from any other SQLite file. */
export const APPLICATION_ID = 0x53504c31;

/** What the first record of a thread names: its namespace in schemas 3 and 4. */
const FIRST_NAMESPACE = `coalesce((
    SELECT CASE WHEN json_array_length(o.record, '$.parents') > 0 THEN ''
      WHEN json_type(o.record, '$.body.namespace') = 'text' AND length(o.record ->> '$.body.namespace') <= 256
      THEN o.record ->> '$.body.namespace' END
    FROM (SELECT CAST(r.canonical AS TEXT) AS record FROM records r WHERE r.thread = threads.no
      ORDER BY r.clock, r.actor, r.id LIMIT 1) o), 'default')`;

/**
 * The column `namespace` of `threads` as `writeNamespaces` writes it, over rows `(name)` of what its opening records name,
 * each once and in order. SQLite before 3.44, which some systems have, takes no order within an aggregate.
 */
export const NAMESPACES = `CASE WHEN count(*) = 0 THEN '' WHEN min(name) = '' OR count(*) > ${MOST_NAMESPACES} THEN char(10) || '[""]'
    WHEN count(*) = 1 THEN min(name) ELSE char(10) || json_group_array(name) END`;

/** The same, read from the records of a row of `threads`, as `namespaceOf` does for one. */
export const NAMESPACES_OF_RECORDS = `(SELECT ${NAMESPACES} FROM (
    SELECT DISTINCT CASE WHEN json_type(o.record, '$.body.namespace') IS NULL THEN 'default'
      WHEN json_type(o.record, '$.body.namespace') = 'text' AND length(o.record ->> '$.body.namespace') <= 256
        AND NOT o.record ->> '$.body.namespace' GLOB '*[' || char(1) || '-' || char(31) || ']*'
        AND instr(o.record -> '$.body.namespace', '\\u0000') = 0
      THEN o.record ->> '$.body.namespace' ELSE '' END AS name
    FROM (SELECT CAST(r.canonical AS TEXT) AS record FROM records r WHERE r.thread = threads.no) o
    WHERE json_array_length(o.record, '$.parents') = 0 ORDER BY name))`;

/**
 * Forward migrations: statement N takes a store from schema N to N + 1. A released one is never edited.
 *
 * `records` lies on disk in the canonical order of each thread, since every listing, export and digest reads it
 * so: one pass over neighbouring pages. `seq` is the order of arrival. Everything derived (counts of `threads`,
 * `signers` and `actors`, `heads`, `gaps`, `totals`) is kept in the transaction of the insert and can be rebuilt
 * by a scan.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
  CREATE TABLE signers (
    no INTEGER PRIMARY KEY, did TEXT NOT NULL UNIQUE, public_key BLOB NOT NULL, records INTEGER NOT NULL DEFAULT 0
  );
  CREATE TABLE threads (
    no INTEGER PRIMARY KEY, thread TEXT NOT NULL UNIQUE, records INTEGER NOT NULL, forks INTEGER NOT NULL,
    clock INTEGER NOT NULL, digest BLOB NOT NULL
  );
  CREATE TABLE records (
    thread INTEGER NOT NULL, clock INTEGER NOT NULL, actor TEXT NOT NULL, id BLOB NOT NULL,
    seq INTEGER NOT NULL, canonical BLOB NOT NULL, judged_by BLOB, signer INTEGER NOT NULL, sig BLOB NOT NULL,
    PRIMARY KEY (thread, clock, actor, id)
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX records_id ON records (id);
  CREATE UNIQUE INDEX records_seq ON records (seq);
  -- records that no record of their thread names as parent
  CREATE TABLE heads (thread INTEGER NOT NULL, id BLOB NOT NULL, clock INTEGER NOT NULL, PRIMARY KEY (thread, id)) WITHOUT ROWID;
  CREATE INDEX heads_clock ON heads (thread, clock DESC, id);
  -- parents that a record names and its thread does not hold
  CREATE TABLE gaps (thread INTEGER NOT NULL, id BLOB NOT NULL, PRIMARY KEY (thread, id)) WITHOUT ROWID;
  CREATE TABLE actors (actor TEXT PRIMARY KEY, records INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE totals (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), records INTEGER NOT NULL, threads INTEGER NOT NULL,
    forks INTEGER NOT NULL, digest BLOB NOT NULL, last_seq INTEGER NOT NULL
  );
  INSERT INTO totals VALUES (1, 0, 0, 0, zeroblob(32), 0);
  CREATE TABLE accounts (
    name TEXT PRIMARY KEY, scopes TEXT NOT NULL, actors TEXT NOT NULL, kind TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE tokens (
    hash BLOB PRIMARY KEY, account TEXT NOT NULL, description TEXT NOT NULL, created_at INTEGER NOT NULL,
    expires_at INTEGER, last_used_at INTEGER
  ) WITHOUT ROWID;
  CREATE TABLE imports (
    n INTEGER PRIMARY KEY, at INTEGER NOT NULL, source_did TEXT NOT NULL, records_root TEXT NOT NULL,
    inserted INTEGER NOT NULL, digest_before TEXT NOT NULL, records_before INTEGER NOT NULL,
    did_before TEXT NOT NULL, did_after TEXT NOT NULL, seq_before INTEGER NOT NULL
  );
  CREATE TABLE audit (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, event TEXT NOT NULL, detail TEXT NOT NULL);
  `,
  `
  ALTER TABLE accounts ADD COLUMN description TEXT NOT NULL DEFAULT '';
  ALTER TABLE accounts ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
  -- a revoked account stays, so that no import brings it back
  ALTER TABLE accounts ADD COLUMN revoked_at INTEGER;
  ALTER TABLE tokens ADD COLUMN kind TEXT NOT NULL DEFAULT 'bearer';
  ALTER TABLE tokens ADD COLUMN revoked_at INTEGER;
  ALTER TABLE tokens ADD COLUMN traded_for BLOB;
  CREATE INDEX tokens_account ON tokens (account);
  CREATE TABLE pairings (
    id TEXT PRIMARY KEY, device TEXT NOT NULL UNIQUE, secret BLOB NOT NULL, tries INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, account TEXT, nonce TEXT
  ) WITHOUT ROWID;
  CREATE TABLE attempts (source TEXT PRIMARY KEY, failures INTEGER NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID;
  `,
  `
  ALTER TABLE threads ADD COLUMN namespace TEXT NOT NULL DEFAULT 'default';
  UPDATE threads SET namespace = ${FIRST_NAMESPACE};
  -- the highest endpoint statement seen of each DID
  CREATE TABLE statements (did TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
  -- how syncing with each peer goes on this host
  CREATE TABLE peers (
    did TEXT PRIMARY KEY, cursor TEXT, last_sync INTEGER, failures INTEGER NOT NULL, next_at INTEGER NOT NULL, problem TEXT
  ) WITHOUT ROWID;
  CREATE TABLE pair_requests (
    id TEXT PRIMARY KEY, did TEXT NOT NULL UNIQUE, url TEXT, name TEXT, at INTEGER NOT NULL
  ) WITHOUT ROWID;
  `,
  `
  -- what took another's place since an import: the envelope that a record had from number seq to before number until
  CREATE TABLE replaced (
    seq INTEGER PRIMARY KEY, id BLOB NOT NULL, judged_by BLOB, signer INTEGER NOT NULL, sig BLOB NOT NULL,
    until INTEGER NOT NULL
  );
  CREATE INDEX replaced_until ON replaced (until);
  -- the identity before, as JSON; null in a batch of an earlier release, which kept nothing of what it replaced
  ALTER TABLE imports ADD COLUMN identity_before TEXT;
  ALTER TABLE imports ADD COLUMN undone_at INTEGER;
  -- the number of the import that brought it; null for what was made here
  ALTER TABLE accounts ADD COLUMN batch INTEGER;
  ALTER TABLE tokens ADD COLUMN batch INTEGER;
  `,
  `
  -- grows whenever records that had come in already came to be shared with others
  ALTER TABLE threads ADD COLUMN late INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX threads_late ON threads (late) WHERE late > 0;
  UPDATE threads SET namespace = ${NAMESPACES_OF_RECORDS};
  `,
];

/** The schema that this release writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

function pragma(db: Database, name: string): number {
  return Object.values(db.query(`PRAGMA ${name}`).get() as Record<string, number>)[0]!;
}

/**
 * The schema version of a store; reads only.
 * @throws SplError store_damaged when the file is no store, store_newer when a later release wrote it
 */
export function requireStore(db: Database, path: string): number {
  const version = pragma(db, "user_version");
  if (version === 0 || pragma(db, "application_id") !== APPLICATION_ID) {
    throw new SplError("store_damaged", `${path} is not a store of spl`, {
      hint: "restore the home from a bundle: move it away, then spl restore FILE",
    });
  }
  if (version > SCHEMA_VERSION) {
    throw new SplError(
      "store_newer",
      `${path} was written by a newer spl (store schema ${version}, this release knows ${SCHEMA_VERSION})`,
      { hint: "upgrade spl, or spl restore a bundle of this instance into another home" },
    );
  }
  return version;
}

/**
 * Brings a store (an empty file is one of schema 0) to this release's schema in one transaction. Whoever waited for
 * another process to do it finds nothing left to do.
 * @param done told the schema before, inside the transaction
 */
export function migrate(db: Database, done: (from: number) => void = () => undefined): void {
  db.transaction(() => {
    const from = pragma(db, "user_version");
    for (let step = from; step < SCHEMA_VERSION; step++) db.run(MIGRATIONS[step]!);
    if (from >= SCHEMA_VERSION) return;
    db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
    db.run(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    done(from);
  }).immediate();
}
