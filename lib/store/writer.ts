import { toHex } from "../base/bytes.ts";
import type { Entry } from "../record/types.ts";
import { Inserter } from "./insert.ts";
import { SqliteReader } from "./reader.ts";
import { rebuildDerived } from "./rebuild.ts";
import type {
  Account,
  AuditRow,
  IdentityRow,
  ImportBatch,
  InsertResult,
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
    const value = JSON.stringify({ ...identity, publicKey: toHex(identity.publicKey) });
    this.statement<never, [string]>(
      "INSERT INTO meta VALUES ('identity', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    ).run(value);
    await this.putSigner({ did: identity.did, publicKey: identity.publicKey });
  }

  async addAccount({ name, scopes, actors, kind }: Account): Promise<boolean> {
    const { changes } = this.statement<never, [string, string, string, string]>(
      "INSERT INTO accounts VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
    ).run(name, JSON.stringify(scopes), JSON.stringify(actors), kind);
    return changes > 0;
  }

  async addToken(token: Token): Promise<boolean> {
    const { changes } = this.statement<
      never,
      [Uint8Array, string, string, number, number | null, number | null]
    >("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING").run(
      token.hash,
      token.account,
      token.description,
      token.createdAt,
      token.expiresAt,
      token.lastUsedAt,
    );
    return changes > 0;
  }

  async touchToken(hash: Uint8Array, at: number): Promise<void> {
    this.statement<never, [number, Uint8Array]>("UPDATE tokens SET last_used_at = ? WHERE hash = ?").run(
      at,
      hash,
    );
  }

  async addImport(batch: Omit<ImportBatch, "n">): Promise<number> {
    const { lastInsertRowid } = this.db
      .query(
        `INSERT INTO imports (at, source_did, records_root, inserted, digest_before, records_before, did_before,
         did_after, seq_before) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        batch.at,
        batch.sourceDid,
        batch.recordsRoot,
        batch.inserted,
        batch.digestBefore,
        batch.recordsBefore,
        batch.didBefore,
        batch.didAfter,
        batch.seqBefore,
      );
    return Number(lastInsertRowid);
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
