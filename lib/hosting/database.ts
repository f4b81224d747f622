import { SplError } from "../base/errors.ts";

export type SqlValue = string | number | null;

export interface Query {
  sql: string;
  params: readonly SqlValue[];
}

/** What the hosting service asks of a database: the part that SQLite and Cloudflare's D1 have in common. */
export interface HostingDatabase {
  all<T>(sql: string, ...params: SqlValue[]): Promise<T[]>;
  /** How many rows it changed. Durable when the promise resolves. */
  run(sql: string, ...params: SqlValue[]): Promise<number>;
  /** All of them in one transaction, or none. How many rows each changed. */
  batch(queries: readonly Query[]): Promise<number[]>;
}

/** Forward migrations: number N takes a database from version N to N + 1. A released one is never edited. */
const MIGRATIONS: readonly (readonly string[])[] = [
  [
    // `taken` is written no longer. A label belongs to one instance for ever, unless that one never came to be.
    "CREATE TABLE labels (label TEXT PRIMARY KEY, instance TEXT NOT NULL UNIQUE)",
    `CREATE TABLE instances (
      id TEXT PRIMARY KEY, label TEXT NOT NULL, url TEXT NOT NULL, owner TEXT NOT NULL, plan TEXT NOT NULL,
      state TEXT NOT NULL, handles TEXT NOT NULL DEFAULT '{}', links INTEGER NOT NULL DEFAULT 0,
      failure TEXT, did TEXT, taken TEXT, created_at INTEGER NOT NULL, ready_at INTEGER, ended_at INTEGER
    )`,
    "CREATE INDEX instances_owner ON instances (owner)",
    "CREATE INDEX instances_state ON instances (state)",
    `CREATE TABLE phases (
      instance TEXT NOT NULL, phase TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER,
      PRIMARY KEY (instance, phase)
    )`,
    // One-shot links by the hash of their secret.
    `CREATE TABLE links (
      hash TEXT PRIMARY KEY, instance TEXT NOT NULL, created_at INTEGER NOT NULL, revealed_at INTEGER, void INTEGER NOT NULL DEFAULT 0
    )`,
    "CREATE TABLE owners (owner TEXT PRIMARY KEY, recovery TEXT UNIQUE, created_at INTEGER NOT NULL)",
    "CREATE TABLE sessions (hash TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at INTEGER NOT NULL)",
    "CREATE TABLE invitations (hash TEXT PRIMARY KEY, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, instance TEXT)",
    "CREATE TABLE statements (did TEXT PRIMARY KEY, json TEXT NOT NULL)",
    // Calls by source and kind in the current window.
    `CREATE TABLE calls (
      source TEXT NOT NULL, kind TEXT NOT NULL, window INTEGER NOT NULL, n INTEGER NOT NULL,
      PRIMARY KEY (source, kind)
    )`,
  ],
  // Who works on an instance, and until when unless that is prolonged.
  ["CREATE TABLE leases (instance TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL)"],
];

/**
 * Brings a database to the newest version; an empty one is at version 0.
 * @throws SplError store_newer when a newer release wrote it
 */
export async function migrate(db: HostingDatabase): Promise<void> {
  await db.run(
    "CREATE TABLE IF NOT EXISTS version (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), n INTEGER NOT NULL)",
  );
  const from = await versionOf(db);
  if (from > MIGRATIONS.length) {
    throw new SplError(
      "store_newer",
      `the hosting database has version ${from}, this release knows ${MIGRATIONS.length}`,
      {
        hint: "run the newer release again",
      },
    );
  }
  for (let n = from; n < MIGRATIONS.length; n++) {
    const statements = MIGRATIONS[n]!.map((sql) => ({ sql, params: [] }));
    const done = {
      sql: "INSERT INTO version VALUES (1, ?) ON CONFLICT DO UPDATE SET n = excluded.n",
      params: [n + 1],
    };
    try {
      await db.batch([...statements, done]);
    } catch (error) {
      // Another process, or isolate, was first.
      if ((await versionOf(db)) <= n) throw error;
    }
  }
}

async function versionOf(db: HostingDatabase): Promise<number> {
  const [row] = await db.all<{ n: number }>("SELECT n FROM version");
  return row?.n ?? 0;
}
