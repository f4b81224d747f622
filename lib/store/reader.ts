import type { Database, Statement } from "bun:sqlite";
import { fromHex, toHex } from "../base/bytes.ts";
import type { DigestedEntry } from "../record/digest.ts";
import type { Entry, EntryHead, OrderKey } from "../record/types.ts";
import { damaged, storeError } from "./connection.ts";
import { KEPT, readNamespaces } from "./namespaces.ts";
import type {
  Account,
  ActorRow,
  Attempts,
  AuditRow,
  IdentityRow,
  ImportBatch,
  Pairing,
  PairRequest,
  PeerRow,
  Reader,
  Selection,
  SequencedEntry,
  Signer,
  ThreadRow,
  Token,
  Totals,
} from "./types.ts";

/** Rows, and bytes of records, after which one step of an iteration hands over what it has. */
const BATCH_ROWS = 1024;
const BATCH_BYTES = 4 * 1024 * 1024;
/** Beyond any count or limit, and still an exact SQLite integer. */
const ALL = Number.MAX_SAFE_INTEGER;

const COLUMNS = "r.clock, r.actor, r.id, r.judged_by, r.signer, r.sig";

interface HeadColumns {
  clock: number;
  actor: string;
  id: Uint8Array;
  judged_by: Uint8Array | null;
  signer: number;
  sig: Uint8Array;
}

type EntryColumns = HeadColumns & { canonical: Uint8Array };

type ThreadColumns = Omit<ThreadRow, "digest" | "namespaces" | "kept"> & {
  digest: Uint8Array;
  namespace: string;
};

function threadRow({ digest, namespace, ...row }: ThreadColumns): ThreadRow {
  const kept = namespace === KEPT;
  const namespaces = kept ? [] : [...readNamespaces(namespace)];
  return { ...row, digest: toHex(digest), namespaces, kept };
}

/** An identity as `identityText` wrote it. */
function identityOf(text: string): IdentityRow {
  // Without a URL where an older release wrote it.
  const { publicKey, ...rest } = JSON.parse(text) as Omit<IdentityRow, "publicKey" | "url"> & {
    publicKey: string;
    url?: string | null;
  };
  return { url: null, ...rest, publicKey: Uint8Array.fromHex(publicKey) };
}

export function identityText(identity: IdentityRow): string {
  const { did, name, fingerprint, publicKey, epoch, stewardId, url } = identity;
  return JSON.stringify({ did, name, fingerprint, publicKey: toHex(publicKey), epoch, stewardId, url });
}

/** The 32 bytes of an id; a text that is none matches no row. */
export function idBytes(id: string): Uint8Array {
  return fromHex(id, 32) ?? new Uint8Array();
}

/** Reads of one connection. The caller owns the snapshot around it. */
export class SqliteReader implements Reader {
  readonly #signers = new Map<number, string>();

  constructor(
    protected readonly db: Database,
    protected readonly path: string,
  ) {}

  protected statement<Row, Params extends (string | number | null | Uint8Array)[]>(
    sql: string,
  ): Statement<Row, Params> {
    return this.db.query(sql) as unknown as Statement<Row, Params>;
  }

  /** A row that another one says is there. */
  #required<Row>(row: Row | null): Row {
    if (row === null) throw damaged(this.path, "a row is missing");
    return row;
  }

  #signer(no: number): string {
    let did = this.#signers.get(no);
    if (did === undefined) {
      const find = this.statement<{ did: string }, [number]>("SELECT did FROM signers WHERE no = ?");
      did = this.#required(find.get(no)).did;
      this.#signers.set(no, did);
    }
    return did;
  }

  #head(thread: string, row: HeadColumns) {
    return {
      id: toHex(row.id),
      thread,
      clock: row.clock,
      actor: row.actor,
      judged_by: row.judged_by && toHex(row.judged_by),
      signer: this.#signer(row.signer),
      sig: row.sig,
    };
  }

  #entry(thread: string, row: EntryColumns): Entry {
    return { ...this.#head(thread, row), canonical: row.canonical };
  }

  async *#batches<Row, Out>(
    sql: string,
    params: (string | number | Uint8Array)[],
    map: (row: Row) => Out,
  ): AsyncIterable<Out[]> {
    // Prepared anew: a cached statement could be stepped by two iterations at once.
    const statement = this.db.prepare(sql);
    try {
      let batch: Out[] = [];
      let bytes = 0;
      for (const row of statement.iterate(...params)) {
        batch.push(map(row as Row));
        bytes += (row as Partial<EntryColumns>).canonical?.length ?? 0;
        if (batch.length === BATCH_ROWS || bytes >= BATCH_BYTES) {
          yield batch;
          batch = [];
          bytes = 0;
        }
      }
      if (batch.length > 0) yield batch;
    } catch (error) {
      throw storeError(this.path, error);
    } finally {
      statement.finalize();
    }
  }

  /**
   * All records, threads by name, each along its primary key. CROSS JOIN fixes the order of the loops, so that
   * nothing is sorted.
   */
  #inBundleOrder<Row extends { no: number }, Out>(
    columns: string,
    map: (thread: string, row: Row) => Out,
  ): AsyncIterable<Out[]> {
    const name = this.db.prepare<{ thread: string }, [number]>("SELECT thread FROM threads WHERE no = ?");
    let thread = { no: -1, name: "" };
    return this.#batches(
      `SELECT t.no, ${columns} FROM threads t CROSS JOIN records r ON r.thread = t.no
       ORDER BY t.thread, r.clock, r.actor, r.id`,
      [],
      (row: Row) => {
        if (row.no !== thread.no) {
          thread = { no: row.no, name: this.#required(name.get(row.no)).thread };
        }
        return map(thread.name, row);
      },
    );
  }

  async totals(): Promise<Totals> {
    const find = this.statement<Omit<Totals, "digest"> & { digest: Uint8Array }, []>(
      "SELECT records, threads, forks, digest FROM totals",
    );
    const row = this.#required(find.get());
    return { ...row, digest: toHex(row.digest) };
  }

  async identity(): Promise<IdentityRow | null> {
    const row = this.statement<{ value: string }, []>("SELECT value FROM meta WHERE key = 'identity'").get();
    return row && identityOf(row.value);
  }

  async known(ids: string[]): Promise<number> {
    const find = this.statement<unknown, [Uint8Array]>("SELECT 1 FROM records WHERE id = ?");
    return ids.reduce((found, id) => (find.get(idBytes(id)) === null ? found : found + 1), 0);
  }

  async record(id: string): Promise<Entry | null> {
    const row = this.statement<EntryColumns & { thread: string }, [Uint8Array]>(
      `SELECT t.thread, ${COLUMNS}, r.canonical FROM records r JOIN threads t ON t.no = r.thread WHERE r.id = ?`,
    ).get(idBytes(id));
    return row && this.#entry(row.thread, row);
  }

  async thread(thread: string): Promise<ThreadRow | null> {
    const row = this.statement<ThreadColumns, [string]>(
      "SELECT thread, records, forks, clock, digest, namespace FROM threads WHERE thread = ?",
    ).get(thread);
    return row && threadRow(row);
  }

  threads({ after = "", limit = ALL }: { after?: string; limit?: number } = {}): AsyncIterable<ThreadRow[]> {
    return this.#batches(
      `SELECT thread, records, forks, clock, digest, namespace FROM threads
       WHERE thread > ? ORDER BY thread LIMIT ?`,
      [after, limit],
      threadRow,
    );
  }

  actors({ after = "", limit = ALL }: { after?: string; limit?: number } = {}): AsyncIterable<ActorRow[]> {
    return this.#batches(
      "SELECT actor, records FROM actors WHERE actor > ? ORDER BY actor LIMIT ?",
      [after, limit],
      (row: ActorRow) => row,
    );
  }

  async heads(thread: string, limit: number): Promise<{ id: string; clock: number }[]> {
    return this.statement<{ id: Uint8Array; clock: number }, [string, number]>(
      `SELECT h.id, h.clock FROM heads h JOIN threads t ON t.no = h.thread
       WHERE t.thread = ? ORDER BY h.clock DESC, h.id LIMIT ?`,
    )
      .all(thread, limit)
      .map((row) => ({ id: toHex(row.id), clock: row.clock }));
  }

  threadEntries(
    thread: string,
    { after = { clock: -1, actor: "", id: "" }, limit = ALL }: { after?: OrderKey; limit?: number } = {},
  ): AsyncIterable<Entry[]> {
    return this.#batches(
      `SELECT ${COLUMNS}, r.canonical FROM records r
       WHERE r.thread = (SELECT no FROM threads WHERE thread = ?) AND (r.clock, r.actor, r.id) > (?, ?, ?)
       ORDER BY r.clock, r.actor, r.id LIMIT ?`,
      [thread, after.clock, after.actor, idBytes(after.id), limit],
      (row: EntryColumns) => this.#entry(thread, row),
    );
  }

  entryHeads(): AsyncIterable<EntryHead[]> {
    return this.#inBundleOrder(
      `${COLUMNS}, length(r.canonical) AS size`,
      (thread, row: HeadColumns & { no: number; size: number }): EntryHead => ({
        ...this.#head(thread, row),
        size: row.size,
      }),
    );
  }

  entries(): AsyncIterable<Entry[]> {
    return this.#inBundleOrder(`${COLUMNS}, r.canonical`, (thread, row: EntryColumns & { no: number }) =>
      this.#entry(thread, row),
    );
  }

  since(
    after: number,
    { thread, selection, limit }: { thread?: string; selection?: Selection; limit: number },
  ): AsyncIterable<SequencedEntry[]> {
    const one = { sql: "(SELECT no FROM threads WHERE thread = ?)", params: [thread ?? ""] };
    const only = [...(thread === undefined ? [] : [one]), ...(selection ? [selected(selection)] : [])];
    // Along the numbers, whose index also names the thread: nothing is sorted, other threads' records are not read.
    return this.#batches(
      `SELECT r.seq, t.thread, ${COLUMNS}, r.canonical
       FROM records r INDEXED BY records_seq CROSS JOIN threads t ON t.no = r.thread
       WHERE r.seq > ? ${only.map(({ sql }) => `AND r.thread IN ${sql}`).join(" ")} ORDER BY r.seq LIMIT ?`,
      [after, ...only.flatMap(({ params }) => params), limit],
      (row: EntryColumns & { seq: number; thread: string }): SequencedEntry => ({
        ...this.#entry(row.thread, row),
        seq: row.seq,
      }),
    );
  }

  selectedIds(selection: Selection, from: Uint8Array, to: Uint8Array | null): AsyncIterable<Uint8Array[]> {
    const { sql, params } = idRange(selection, from, to);
    return this.#batches(`SELECT r.id ${sql} ORDER BY r.id`, params, (row: { id: Uint8Array }) => row.id);
  }

  selectedEnvelopes(
    selection: Selection,
    from: Uint8Array,
    to: Uint8Array | null,
  ): AsyncIterable<DigestedEntry[]> {
    const { sql, params } = idRange(selection, from, to);
    return this.#batches(
      `SELECT r.id, r.judged_by, r.signer, r.sig ${sql} ORDER BY r.id`,
      params,
      (row: Pick<HeadColumns, "id" | "judged_by" | "signer" | "sig">): DigestedEntry => ({
        id: toHex(row.id),
        judged_by: row.judged_by && toHex(row.judged_by),
        signer: this.#signer(row.signer),
        sig: row.sig,
      }),
    );
  }

  async countSelected(selection: Selection, from: Uint8Array, to: Uint8Array | null): Promise<number> {
    const { sql, params } = idRange(selection, from, to);
    const count = this.statement<{ n: number }, (string | Uint8Array)[]>(`SELECT count(*) AS n ${sql}`);
    return this.#required(count.get(...params)).n;
  }

  async lastSeq(): Promise<number> {
    return this.#required(this.statement<{ last_seq: number }, []>("SELECT last_seq FROM totals").get())
      .last_seq;
  }

  async idUpTo(seq: number): Promise<string | null> {
    const find = this.statement<{ id: Uint8Array }, [number]>(
      "SELECT id FROM records INDEXED BY records_seq WHERE seq <= ? ORDER BY seq DESC LIMIT 1",
    );
    const row = find.get(seq);
    return row && toHex(row.id);
  }

  async lateOpenings(selection: Selection): Promise<number> {
    const { where, params } = rulesOf(selection);
    const find = this.statement<{ late: number }, string[]>(
      `SELECT coalesce(max(late), 0) AS late FROM threads WHERE late > 0 AND ${where}`,
    );
    return find.get(...params)!.late;
  }

  async forks({ thread, limit = ALL }: { thread?: string; limit?: number } = {}) {
    type Row = { thread: string; actor: string; clock: number; ids: string };
    const sql = (where: string) =>
      `SELECT t.thread, r.actor, r.clock, group_concat(lower(hex(r.id))) AS ids FROM threads t
       CROSS JOIN records r ON r.thread = t.no WHERE t.forks > 0 ${where}
       GROUP BY t.thread, r.clock, r.actor HAVING count(*) > 1 LIMIT ?`;
    const rows =
      thread === undefined
        ? this.statement<Row, [number]>(sql("")).all(limit)
        : this.statement<Row, [string, number]>(sql("AND t.thread = ?")).all(thread, limit);
    return rows.map((row) => ({ ...row, ids: row.ids.split(",").sort() }));
  }

  signers(): AsyncIterable<Signer[]> {
    return this.#batches(
      "SELECT did, public_key AS publicKey FROM signers WHERE records > 0 ORDER BY did",
      [],
      (row: Signer) => row,
    );
  }

  async signer(did: string): Promise<Signer | null> {
    return this.statement<Signer, [string]>(
      "SELECT did, public_key AS publicKey FROM signers WHERE did = ?",
    ).get(did);
  }

  async accounts(): Promise<Account[]> {
    return this.statement<AccountColumns, []>(`SELECT ${ACCOUNT_COLUMNS} FROM accounts ORDER BY name`)
      .all()
      .map(account);
  }

  async account(name: string): Promise<Account | null> {
    const row = this.statement<AccountColumns, [string]>(
      `SELECT ${ACCOUNT_COLUMNS} FROM accounts WHERE name = ?`,
    ).get(name);
    return row && account(row);
  }

  async tokens(account?: string): Promise<Token[]> {
    const sql = (where: string) => `SELECT ${TOKEN_COLUMNS} FROM tokens ${where} ORDER BY hash`;
    return account === undefined
      ? this.statement<Token, []>(sql("")).all()
      : this.statement<Token, [string]>(sql("WHERE account = ?")).all(account);
  }

  async token(hash: Uint8Array): Promise<{ token: Token; account: Account } | null> {
    const token = this.statement<Token, [Uint8Array]>(
      `SELECT ${TOKEN_COLUMNS} FROM tokens WHERE hash = ?`,
    ).get(hash);
    const owner = token && (await this.account(token.account));
    return owner && { token, account: owner };
  }

  async endpoint(did: string): Promise<string | null> {
    const find = this.statement<{ json: string }, [string]>("SELECT json FROM statements WHERE did = ?");
    return find.get(did)?.json ?? null;
  }

  async countEndpoints(): Promise<number> {
    return this.statement<{ n: number }, []>("SELECT count(*) AS n FROM statements").get()!.n;
  }

  async peer(did: string): Promise<PeerRow | null> {
    return this.statement<PeerRow, [string]>(`SELECT ${PEER_COLUMNS} FROM peers WHERE did = ?`).get(did);
  }

  async peers(): Promise<PeerRow[]> {
    return this.statement<PeerRow, []>(`SELECT ${PEER_COLUMNS} FROM peers ORDER BY did`).all();
  }

  async pairRequests(): Promise<PairRequest[]> {
    return this.statement<PairRequest, []>(
      "SELECT id, did, url, name, at FROM pair_requests ORDER BY at, id",
    ).all();
  }

  async pairing(id: string): Promise<Pairing | null> {
    return this.statement<Pairing, [string]>(`SELECT ${PAIRING_COLUMNS} FROM pairings WHERE id = ?`).get(id);
  }

  async pairings(): Promise<Pairing[]> {
    return this.statement<Pairing, []>(`SELECT ${PAIRING_COLUMNS} FROM pairings ORDER BY id`).all();
  }

  async attempts(): Promise<Attempts[]> {
    return this.statement<Attempts, []>("SELECT source, failures, since FROM attempts").all();
  }

  async imports(): Promise<ImportBatch[]> {
    type Row = Omit<ImportBatch, "identityBefore"> & { identityBefore: string | null };
    return this.statement<Row, []>(
      `SELECT n, at, source_did AS sourceDid, records_root AS recordsRoot, inserted, digest_before AS digestBefore,
       records_before AS recordsBefore, did_before AS didBefore, did_after AS didAfter, seq_before AS seqBefore,
       identity_before AS identityBefore, undone_at AS undoneAt FROM imports ORDER BY n`,
    )
      .all()
      .map((row) => ({
        ...row,
        identityBefore: row.identityBefore === null ? null : identityOf(row.identityBefore),
      }));
  }

  async undone(): Promise<number> {
    return this.statement<{ n: number }, []>(
      "SELECT count(*) AS n FROM imports WHERE undone_at IS NOT NULL",
    ).get()!.n;
  }

  async audit({ after = 0, since = 0, limit }: { after?: number; since?: number; limit: number }) {
    return this.statement<Omit<AuditRow, "detail"> & { detail: string }, [number, number, number]>(
      "SELECT n, at, event, detail FROM audit WHERE n > ? AND at >= ? ORDER BY n LIMIT ?",
    )
      .all(after, since, limit)
      .map((row): AuditRow => ({ ...row, detail: JSON.parse(row.detail) }));
  }
}

/** Behind every id. */
const BEYOND = new Uint8Array(33).fill(0xff);

/** Of a column as `writeNamespaces` writes it; `$` is the list. */
const NAMESPACES_IN =
  "(namespace IN $ OR (namespace GLOB char(10) || '*' AND NOT EXISTS (SELECT 1 FROM json_each(namespace) WHERE value NOT IN $)))";

/** A subquery for the numbers of the selected threads, with its parameters. */
function selected(selection: Selection): { sql: string; params: string[] } {
  const { where, params } = rulesOf(selection);
  return { sql: `(SELECT no FROM threads WHERE ${where})`, params };
}

function rulesOf({ namespaces, threads, without }: Selection): { where: string; params: string[] } {
  const rules = [
    { rule: NAMESPACES_IN, list: namespaces },
    { rule: "thread IN $", list: threads },
    { rule: "thread NOT IN $", list: without },
  ].filter(({ list }) => list !== null);
  const where = rules.map(({ rule }) => rule.replaceAll("$", "(SELECT value FROM json_each(?))"));
  return {
    where: where.join(" AND "),
    params: rules.flatMap(({ rule, list }) => Array(rule.split("$").length - 1).fill(JSON.stringify(list))),
  };
}

/** The selected threads' records by id, along the index of ids, which names the thread as well. */
function idRange(selection: Selection, from: Uint8Array, to: Uint8Array | null) {
  const { sql, params } = selected(selection);
  return {
    sql: `FROM records r INDEXED BY records_id WHERE r.id >= ? AND r.id < ? AND r.thread IN ${sql}`,
    params: [from, to ?? BEYOND, ...params],
  };
}

const TOKEN_COLUMNS =
  "hash, account, description, created_at AS createdAt, expires_at AS expiresAt, last_used_at AS lastUsedAt, kind, revoked_at AS revokedAt, traded_for AS tradedFor";
const ACCOUNT_COLUMNS =
  "name, scopes, actors, kind, description, created_at AS createdAt, revoked_at AS revokedAt";
const PEER_COLUMNS = "did, cursor, last_sync AS lastSync, failures, next_at AS nextAt, problem";
const PAIRING_COLUMNS = "id, device, secret, tries, expires_at AS expiresAt, account, nonce";

type AccountColumns = Omit<Account, "scopes" | "actors"> & { scopes: string; actors: string };

function account(row: AccountColumns): Account {
  return { ...row, scopes: JSON.parse(row.scopes), actors: JSON.parse(row.actors) };
}
