import type { DigestedEntry } from "../record/digest.ts";
import type { Entry, EntryHead, OrderKey } from "../record/types.ts";

/**
 * The store's contract. It is asynchronous and speaks in batches although SQLite is synchronous, so that a
 * second store can stand behind it. Whoever writes gets the writer only inside `transact`.
 */
export interface Store {
  /** Runs `fn` on one snapshot. */
  read<T>(fn: (reader: Reader) => Promise<T> | T): Promise<T>;
  /**
   * Runs `fn` as the only writer. When the promise resolves, everything is on disk and survives a power cut;
   * when `fn` throws, nothing has changed.
   * @throws SplError disk_full, store_busy (another process holds the lock for 30 s), store_damaged
   */
  transact<T>(fn: (writer: Writer) => Promise<T> | T): Promise<T>;
  close(): Promise<void>;
}

export interface Totals {
  records: number;
  threads: number;
  /** Positions `(thread, actor, clock)` that more than one record claims, counted as surplus records. */
  forks: number;
  /** The instance digest, 64 hex (`lib/record/digest.ts`). */
  digest: string;
}

export interface ThreadRow {
  thread: string;
  records: number;
  forks: number;
  /** Highest clock of the thread. */
  clock: number;
  /** The thread's digest, 64 hex. */
  digest: string;
  /**
   * What its opening bodies name, else `default`, sorted: it is shared with those who may have all of them. None as long
   * as there is no opening record, and when it is kept.
   */
  namespaces: string[];
  /** Shared with nobody for ever: an opening record names what cannot be granted. */
  kept: boolean;
}

/** Some of the threads: all in which each given rule holds. */
export interface Selection {
  /** Only threads of which all namespaces are among these; null for any. */
  namespaces: string[] | null;
  /** Only these threads; null for any. */
  threads: string[] | null;
  /** None of these threads. */
  without: string[];
}

/** How syncing with a peer goes on this host; never exported. */
export interface PeerRow {
  did: string;
  /** Where the next page of its feed begins; null when that has to be found out by reconciliation. */
  cursor: string | null;
  /** Unix milliseconds of the last sync that succeeded; null before the first one on this host. */
  lastSync: number | null;
  /** Failed attempts since then. */
  failures: number;
  /** Not before this moment by itself, Unix milliseconds. */
  nextAt: number;
  /** What went wrong last, one line; null when nothing did. */
  problem: string | null;
}

/** An instance that asked to be paired, until the operator decides. Strangers must not be able to write records. */
export interface PairRequest {
  /** 12 hex. */
  id: string;
  did: string;
  url: string | null;
  name: string | null;
  at: number;
}

export interface ActorRow {
  actor: string;
  records: number;
}

export interface Signer {
  did: string;
  /** 32 bytes. */
  publicKey: Uint8Array;
}

/** The identity that this home signs with; `epoch` in Unix milliseconds at least (spec, section 3). */
export interface IdentityRow {
  did: string;
  /** The DID's name part. */
  name: string;
  /** 40 hex; names the file under `keys/`. */
  fingerprint: string;
  publicKey: Uint8Array;
  epoch: number;
  /** Random per home, 32 hex. */
  stewardId: string;
  /** Where this home was reached when it last had an address, or null before that. */
  url: string | null;
}

export interface Account {
  name: string;
  scopes: string[];
  actors: string[];
  /** `local` and `bootstrap` and `device` accounts belong to this host and never travel. */
  kind: "service" | "local" | "bootstrap" | "device";
  description: string;
  /** Unix milliseconds; 0 when that was never written down. */
  createdAt: number;
  /** A revoked account stays as a row, so that its name is never given again and no import brings it back. */
  revokedAt: number | null;
}

export interface Token {
  /** SHA-256 of the token, 32 bytes. */
  hash: Uint8Array;
  account: string;
  description: string;
  createdAt: number;
  expiresAt: number | null;
  lastUsedAt: number | null;
  /** A bootstrap token can do one thing, once: be traded for a bearer token. */
  kind: "bearer" | "bootstrap";
  revokedAt: number | null;
  /** Of a spent bootstrap token: the hash of the bearer token that it was traded for. */
  tradedFor: Uint8Array | null;
}

/** A device on its way in, or one that came in on this host (spec, section 8). */
export interface Pairing {
  /** The part of the code that names this pairing. */
  id: string;
  /** Id of the record on `th_devices` that began it. */
  device: string;
  /** SHA-256 of the whole code, 32 bytes. */
  secret: Uint8Array;
  /** Wrong codes so far. */
  tries: number;
  expiresAt: number;
  /** The device's account, once the code has been redeemed. */
  account: string | null;
  /** What the device added to the exchange. */
  nonce: string | null;
}

/** Wrong secrets from one source (an address) since a moment. */
export interface Attempts {
  source: string;
  failures: number;
  since: number;
}

/** One import, numbered, with the state before it. */
export interface ImportBatch {
  /** Never given again, also when the batch is undone. */
  n: number;
  at: number;
  sourceDid: string;
  recordsRoot: string;
  inserted: number;
  digestBefore: string;
  recordsBefore: number;
  didBefore: string;
  didAfter: string;
  /** Every record with a higher sequence number came with this batch or later. */
  seqBefore: number;
  /** Null in a batch of a release that could not undo it. */
  identityBefore: IdentityRow | null;
  /** Unix milliseconds; null while it stands. */
  undoneAt: number | null;
}

/** What a rollback did to the records. */
export interface RolledBack {
  removed: number;
  /** Records that have the envelope again that they had before. */
  restored: number;
}

export interface AuditRow {
  n: number;
  at: number;
  event: string;
  detail: Record<string, string | number | boolean | null>;
}

/** A record with the number under which this store took it in; the numbers only grow. */
export interface SequencedEntry extends Entry {
  seq: number;
}

/** Batches are bounded by number and, where they hold records, by size: some MiB each. */
export interface Reader {
  totals(): Promise<Totals>;
  identity(): Promise<IdentityRow | null>;
  record(id: string): Promise<Entry | null>;
  /** How many of these ids are here. */
  known(ids: string[]): Promise<number>;
  thread(thread: string): Promise<ThreadRow | null>;
  /** Threads in byte order of their id, those behind `after` only. */
  threads(page?: { after?: string; limit?: number }): AsyncIterable<ThreadRow[]>;
  actors(page?: { after?: string; limit?: number }): AsyncIterable<ActorRow[]>;
  /** Records that no other record of the thread names as parent, highest clock first. */
  heads(thread: string, limit: number): Promise<{ id: string; clock: number }[]>;
  /** One thread in canonical order, records behind `after` only. */
  threadEntries(thread: string, page?: { after?: OrderKey; limit?: number }): AsyncIterable<Entry[]>;
  /** All records, threads in byte order, each thread in canonical order. */
  entryHeads(): AsyncIterable<EntryHead[]>;
  entries(): AsyncIterable<Entry[]>;
  /** What was taken in behind sequence number `after`, of one thread or of all. */
  since(
    after: number,
    page: { thread?: string; selection?: Selection; limit: number },
  ): AsyncIterable<SequencedEntry[]>;
  /** Ids (32 bytes each) of the selected threads' records from `from` to before `to` (null: the end), ascending. */
  selectedIds(selection: Selection, from: Uint8Array, to: Uint8Array | null): AsyncIterable<Uint8Array[]>;
  /** Of the same records, in the same order, who vouches for them. */
  selectedEnvelopes(
    selection: Selection,
    from: Uint8Array,
    to: Uint8Array | null,
  ): AsyncIterable<DigestedEntry[]>;
  countSelected(selection: Selection, from: Uint8Array, to: Uint8Array | null): Promise<number>;
  lastSeq(): Promise<number>;
  /** Id of the last record that was taken in up to this sequence number; null where there is none. */
  idUpTo(seq: number): Promise<string | null>;
  /** A number that grows whenever records of these threads that had come in before came to be shared. */
  lateOpenings(selection: Selection): Promise<number>;
  /** Positions that several records claim. */
  forks(page?: {
    thread?: string;
    limit?: number;
  }): Promise<{ thread: string; actor: string; clock: number; ids: string[] }[]>;
  /** Everyone who signed a record that is here, in byte order of the DID. */
  signers(): AsyncIterable<Signer[]>;
  signer(did: string): Promise<Signer | null>;
  /** By name, revoked ones included. */
  accounts(): Promise<Account[]>;
  account(name: string): Promise<Account | null>;
  /** Of one account or of all, by hash; revoked and spent ones included. */
  tokens(account?: string): Promise<Token[]>;
  token(hash: Uint8Array): Promise<{ token: Token; account: Account } | null>;
  /** Every import, oldest first; those that were undone included. */
  imports(): Promise<ImportBatch[]>;
  /** How many imports were undone: with every rollback more. */
  undone(): Promise<number>;
  /** The highest endpoint statement seen of a DID, as JSON. */
  endpoint(did: string): Promise<string | null>;
  /** Of how many DIDs a statement is known. */
  countEndpoints(): Promise<number>;
  peer(did: string): Promise<PeerRow | null>;
  peers(): Promise<PeerRow[]>;
  /** Oldest first. */
  pairRequests(): Promise<PairRequest[]>;
  pairing(id: string): Promise<Pairing | null>;
  pairings(): Promise<Pairing[]>;
  attempts(): Promise<Attempts[]>;
  /** Rows behind number `after` and not older than `since`, oldest first. */
  audit(page: { after?: number; since?: number; limit: number }): Promise<AuditRow[]>;
}

export interface InsertResult {
  inserted: number;
  /** Already there, with this or a smaller envelope. */
  deduplicated: number;
  /** Already there; the incoming envelope was bytewise smaller and took its place. */
  replaced: number;
}

export interface Writer extends Reader {
  /**
   * Adds entries whose hashes and signatures the caller has checked. Counts, digests, heads, forks and actors
   * follow in the same transaction. Signers must be known (`putSigner`) before their entries.
   */
  insert(entries: Entry[]): Promise<InsertResult>;
  /** The ids that another record holds at this position; empty when a local emit is free to take it. */
  occupants(thread: string, actor: string, clock: number): Promise<string[]>;
  putSigner(signer: Signer): Promise<void>;
  setIdentity(identity: IdentityRow): Promise<void>;
  /**
   * False when the name is taken; the account there stays as it is.
   * @param batch number of the import that brings it; null when it is made here
   */
  addAccount(account: Account, batch?: number | null): Promise<boolean>;
  setAccountScopes(name: string, scopes: string[]): Promise<void>;
  /** Closes the account and all its tokens. */
  revokeAccount(name: string, at: number): Promise<void>;
  /** False when the hash is known. */
  addToken(token: Token, batch?: number | null): Promise<boolean>;
  touchToken(hash: Uint8Array, at: number): Promise<void>;
  revokeToken(hash: Uint8Array, at: number): Promise<void>;
  /** Marks a bootstrap token as spent. */
  spendToken(hash: Uint8Array, tradedFor: Uint8Array): Promise<void>;
  /** Replaces what was known of its DID; the caller has compared. */
  putEndpoint(did: string, json: string): Promise<void>;
  putPeer(peer: PeerRow): Promise<void>;
  removePeer(did: string): Promise<void>;
  /** Replaces an earlier request of the same DID. */
  putPairRequest(request: PairRequest): Promise<void>;
  removePairRequest(did: string): Promise<void>;
  /** Adds a pairing or replaces the one of the same id. */
  putPairing(pairing: Pairing): Promise<void>;
  removePairing(id: string): Promise<void>;
  /** Adds or replaces these, and forgets what is known of other sources. */
  putAttempts(rows: Attempts[], forgotten: string[]): Promise<void>;
  /** Begins a batch: from now on the store keeps the envelopes that are replaced. Returns its number. */
  beginImport(batch: Omit<ImportBatch, "n" | "inserted" | "undoneAt">): Promise<number>;
  endImport(n: number, inserted: number): Promise<void>;
  /**
   * Takes records, accounts and tokens back to before a batch, and rebuilds what is derived by a scan. Accounts and
   * tokens that were made here stay, and so does what was revoked. What is known of syncing with peers is forgotten,
   * since their cursors lie behind records that are gone. Sequence numbers are not given again.
   */
  rollBack(batch: ImportBatch, at: number): Promise<RolledBack>;
  addAudit(at: number, event: string, detail: AuditRow["detail"]): Promise<void>;
  /** Recomputes counts, digests, heads, forks and actors by a scan. Returns whether anything was different. */
  rebuild(): Promise<{ changed: boolean }>;
}
