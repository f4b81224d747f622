import type { Entry, EntryHead } from "../record/types.ts";

/** The contract of this room: what a bundle is made of and what reading one yields. Layout: `FORMAT.md`. */

export const BUNDLE_FORMAT = "spl-bundle";
export const BUNDLE_VERSION = 1;

export type Compression = "zst" | "gz" | "none";
export type IdentityScope = "included" | "none" | "only";

/** `manifest.json`, canonical JSON, signed by `manifest.sig`. Counts are records, threads, pairs, grants. */
export interface Manifest {
  format: typeof BUNDLE_FORMAT;
  bundle_version: typeof BUNDLE_VERSION;
  source_did: string;
  /** 32 bytes, hex. */
  public_key: string;
  record_count: number;
  thread_count: number;
  federation_pairs: number;
  consent_grants: number;
  identity: IdentityScope;
  tokens: "carried" | "none";
  /** SHA-256, hex, over the raw 32-byte ids of all records in bundle order. */
  records_root: string;
  /** SHA-256, hex, over `path NUL size NUL sha256 LF` of every member behind `manifest.sig`, in order. */
  bundle_sha256: string;
}

/** A line of `identity/signers.jsonl`: a signer other than the bundle's own identity. */
export interface SignerLine {
  did: string;
  /** 32 bytes, hex. */
  public_key: string;
}

/** A line of `accounts/service_accounts.jsonl`. */
export interface AccountLine {
  name: string;
  /** Ascending, unique. */
  scopes: string[];
  /** Actors this account may speak for, ascending, unique; empty means any. */
  actors: string[];
}

/** A line of `accounts/tokens.jsonl`: a token's hash, never the token. */
export interface TokenLine {
  /** SHA-256 of the token, hex. */
  token_sha256: string;
  account: string;
  description: string;
  /** Unix milliseconds, or null for no expiry. */
  expires_at: number | null;
}

/** What a bundle is written from. Lists are in ascending byte order; every pass sees one snapshot. */
export interface BundleSource {
  did: string;
  publicKey: Uint8Array;
  /** The 32-byte seed; it signs the manifest and is written unless `identity` is `none`. */
  seed: Uint8Array;
  identity: IdentityScope;
  signers: SignerLine[];
  accounts: AccountLine[];
  /** Null unless tokens are carried. */
  tokens: TokenLine[] | null;
  federationPairs: number;
  consentGrants: number;
  /** How many records there are; decides only how they are read. */
  records: number;
  /** Threads in byte order and records in canonical order. Batches may have any size. */
  heads(): AsyncIterable<EntryHead[]>;
  /** The same order. */
  entries(): AsyncIterable<Entry[]>;
}

export interface WrittenBundle {
  manifest: Manifest;
  /** The file's bytes, in chunks of any size. */
  chunks: AsyncIterable<Uint8Array>;
}

/**
 * What reading yields, in order: `manifest` (its signature is already verified, and the key against
 * `source_did`), `identity`, `signers`, `accounts`, then `group` for each group, then `end`. Nothing may be
 * committed before `end`: only then do all counts, hashes and roots agree.
 */
export type BundleEvent =
  | { kind: "manifest"; manifest: Manifest; manifestBytes: Uint8Array; publicKey: Uint8Array }
  | { kind: "identity"; seed: Uint8Array | null }
  | { kind: "signers"; signers: SignerLine[] }
  | { kind: "accounts"; accounts: AccountLine[]; tokens: TokenLine[] | null }
  | { kind: "group"; thread: string; entries: Entry[] }
  | { kind: "member"; path: string; size: number; sha256: string }
  | { kind: "end"; manifest: Manifest };

export interface ReadOptions {
  /** Check the signatures of the bundle's own identity one by one as well; asked behind the `accounts` event. */
  deep?: boolean | (() => boolean);
  /** Yield a `member` event for every member, for listings. */
  members?: boolean;
}
