import { toHex } from "../base/bytes.ts";
import type { Entry } from "../record/types.ts";
import { Inserter } from "./insert.ts";
import { identityText, SqliteReader } from "./reader.ts";
import { rebuildDerived } from "./rebuild.ts";
import { rollBack } from "./rollback.ts";
import type {
  Account,
  Attempts,
  AuditRow,
  IdentityRow,
  ImportBatch,
  InsertResult,
  Pairing,
  PairRequest,
  PeerRow,
  RolledBack,
  Signer,
  Token,
  Writer,
} from "./types.ts";

/** Writes of one connection inside one transaction. */
export class SqliteWriter extends SqliteReader implements Writer {
  async insert(entries: Entry[]): Promise<InsertResult> {
    const inserter = new Inserter(this.db);
    inserter.insert(entries);
    return inserter.finish();
  }

  async occupants(thread: string, actor: string, clock: number): Promise<string[]> {
    return this.statement<{ id: Uint8Array }, [string, number, string]>(
      `SELECT id FROM records WHERE thread = (SELECT no FROM threads WHERE thread = ?) AND clock = ? AND actor = ?`,
    )
      .all(thread, clock, actor)
      .map((row) => toHex(row.id));
  }

  async putSigner({ did, publicKey }: Signer): Promise<void> {
    this.statement<never, [string, Uint8Array]>(
      "INSERT INTO signers (did, public_key) VALUES (?, ?) ON CONFLICT (did) DO NOTHING",
    ).run(did, publicKey);
  }

  async setIdentity(identity: IdentityRow): Promise<void> {
    this.statement<never, [string]>(
      "INSERT INTO meta VALUES ('identity', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    ).run(identityText(identity));
    await this.putSigner({ did: identity.did, publicKey: identity.publicKey });
  }

  async addAccount(account: Account, batch: number | null = null): Promise<boolean> {
    const { name, scopes, actors, kind, description, createdAt, revokedAt } = account;
    const { changes } = this.statement<
      never,
      [string, string, string, string, string, number, number | null, number | null]
    >(
      `INSERT INTO accounts (name, scopes, actors, kind, description, created_at, revoked_at, batch)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
    ).run(
      name,
      JSON.stringify(scopes),
      JSON.stringify(actors),
      kind,
      description,
      createdAt,
      revokedAt,
      batch,
    );
    return changes > 0;
  }

  async setAccountScopes(name: string, scopes: string[]): Promise<void> {
    this.statement<never, [string, string]>("UPDATE accounts SET scopes = ? WHERE name = ?").run(
      JSON.stringify(scopes),
      name,
    );
  }

  async revokeAccount(name: string, at: number): Promise<void> {
    for (const sql of [
      "UPDATE accounts SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL",
      "UPDATE tokens SET revoked_at = ? WHERE account = ? AND revoked_at IS NULL",
    ]) {
      this.statement<never, [number, string]>(sql).run(at, name);
    }
  }

  async addToken(token: Token, batch: number | null = null): Promise<boolean> {
    const { hash, account, description, createdAt, expiresAt, lastUsedAt, kind, revokedAt, tradedFor } =
      token;
    const { changes } = this.db
      .query(
        `INSERT INTO tokens (hash, account, description, created_at, expires_at, last_used_at, kind, revoked_at,
         traded_for, batch) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING`,
      )
      .run(hash, account, description, createdAt, expiresAt, lastUsedAt, kind, revokedAt, tradedFor, batch);
    return changes > 0;
  }

  async touchToken(hash: Uint8Array, at: number): Promise<void> {
    this.statement<never, [number, Uint8Array]>("UPDATE tokens SET last_used_at = ? WHERE hash = ?").run(
      at,
      hash,
    );
  }

  async revokeToken(hash: Uint8Array, at: number): Promise<void> {
    this.statement<never, [number, Uint8Array]>(
      "UPDATE tokens SET revoked_at = ? WHERE hash = ? AND revoked_at IS NULL",
    ).run(at, hash);
  }

  async spendToken(hash: Uint8Array, tradedFor: Uint8Array): Promise<void> {
    this.statement<never, [Uint8Array, Uint8Array]>("UPDATE tokens SET traded_for = ? WHERE hash = ?").run(
      tradedFor,
      hash,
    );
  }

  async putEndpoint(did: string, json: string): Promise<void> {
    this.statement<never, [string, string]>(
      "INSERT OR REPLACE INTO statements (did, json) VALUES (?, ?)",
    ).run(did, json);
  }

  async putPeer({ did, cursor, lastSync, failures, nextAt, problem }: PeerRow): Promise<void> {
    this.db
      .query(
        `INSERT OR REPLACE INTO peers (did, cursor, last_sync, failures, next_at, problem)
         VALUES (?, ?, ?, ?, ?, ?)`,
      )
      .run(did, cursor, lastSync, failures, nextAt, problem);
  }

  async removePeer(did: string): Promise<void> {
    this.statement<never, [string]>("DELETE FROM peers WHERE did = ?").run(did);
  }

  async putPairRequest({ id, did, url, name, at }: PairRequest): Promise<void> {
    await this.removePairRequest(did);
    this.db
      .query("INSERT INTO pair_requests (id, did, url, name, at) VALUES (?, ?, ?, ?, ?)")
      .run(id, did, url, name, at);
  }

  async removePairRequest(did: string): Promise<void> {
    this.statement<never, [string]>("DELETE FROM pair_requests WHERE did = ?").run(did);
  }

  async putPairing({ id, device, secret, tries, expiresAt, account, nonce }: Pairing): Promise<void> {
    this.db
      .query(
        "INSERT OR REPLACE INTO pairings (id, device, secret, tries, expires_at, account, nonce) VALUES (?, ?, ?, ?, ?, ?, ?)",
      )
      .run(id, device, secret, tries, expiresAt, account, nonce);
  }

  async removePairing(id: string): Promise<void> {
    this.statement<never, [string]>("DELETE FROM pairings WHERE id = ?").run(id);
  }

  async putAttempts(rows: Attempts[], forgotten: string[]): Promise<void> {
    const drop = this.statement<never, [string]>("DELETE FROM attempts WHERE source = ?");
    for (const source of forgotten) drop.run(source);
    const put = this.statement<never, [string, number, number]>(
      "INSERT OR REPLACE INTO attempts (source, failures, since) VALUES (?, ?, ?)",
    );
    for (const { source, failures, since } of rows) put.run(source, failures, since);
  }

  async beginImport(batch: Omit<ImportBatch, "n" | "inserted" | "undoneAt">): Promise<number> {
    const { lastInsertRowid } = this.db
      .query(
        `INSERT INTO imports (at, source_did, records_root, inserted, digest_before, records_before, did_before,
         did_after, seq_before, identity_before) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        batch.at,
        batch.sourceDid,
        batch.recordsRoot,
        batch.digestBefore,
        batch.recordsBefore,
        batch.didBefore,
        batch.didAfter,
        batch.seqBefore,
        batch.identityBefore && identityText(batch.identityBefore),
      );
    return Number(lastInsertRowid);
  }

  async endImport(n: number, inserted: number): Promise<void> {
    this.statement<never, [number, number]>("UPDATE imports SET inserted = ? WHERE n = ?").run(inserted, n);
  }

  async rollBack(batch: ImportBatch, at: number): Promise<RolledBack> {
    return rollBack(this.db, batch, at);
  }

  async addAudit(at: number, event: string, detail: AuditRow["detail"]): Promise<void> {
    this.statement<never, [number, string, string]>(
      "INSERT INTO audit (at, event, detail) VALUES (?, ?, ?)",
    ).run(at, event, JSON.stringify(detail));
  }

  async rebuild(): Promise<{ changed: boolean }> {
    return { changed: rebuildDerived(this.db) };
  }
}
