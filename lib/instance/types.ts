import type { Compression, IdentityScope, Manifest } from "../bundle/types.ts";

/** What the use cases of an instance take and give. Names are those of the JSON output (spec, section 6). */

export type InstanceState = "active" | "superseded" | "revoked";

export interface Status {
  instance_did: string;
  epoch: number;
  state: InstanceState;
  moved_to: string | null;
  same_address: boolean;
  since: string | null;
  records: number;
  threads: number;
  forks: number;
  digest: string;
}

export interface EmissionDefaults {
  /** Who speaks when a line names no actor. */
  actor: string;
}

export interface Emitted {
  id: string;
  thread: string;
  clock: number;
  /** True when exactly this record was there before. */
  deduplicated: boolean;
}

export interface ThreadSummary {
  thread: string;
  /** Several with a comma between them; empty for none. */
  namespace: string;
  goal: string | null;
  /** `open`: a goal without its fulfilment; `done`; `canceled`; `none`: no goal was stated. */
  state: "open" | "done" | "canceled" | "none";
  records: number;
  forks: number;
  clock: number;
  digest: string;
}

export interface ThreadDetail extends ThreadSummary {
  heads: string[];
  forked: { actor: string; clock: number; ids: string[] }[];
}

export interface ActorSummary {
  actor: string;
  name: string | null;
  records: number;
  registered: boolean;
}

export interface ExportOptions {
  compression: Compression;
  identity: IdentityScope;
  carryTokens: boolean;
  /** Who exports, for the audit table. */
  by?: string;
}

export interface ImportOptions {
  dryRun: boolean;
  forceOverwrite: boolean;
  keepIdentity: boolean;
  /** Refuse a bundle of any other DID. */
  expectDid: string | null;
  deep: boolean;
  /** Who imports, for the audit table. */
  by?: string;
}

/** Said once every byte of the file has been checked and before anything is written. */
export interface BundleVerified {
  signature: "valid";
  source_did: string;
  manifest: Manifest;
}

/** An identity that a home is about to become, and who may know what has become of it meanwhile. */
export interface Adoption {
  did: string;
  /** 32 bytes, its private key. */
  seed: Uint8Array;
  peers: { did: string; url: string }[];
}

export type IdentityOutcome = "adopted" | "unchanged" | "kept";

export interface ImportSummary {
  signature: "valid";
  source_did: string;
  /** inspected = inserted + deduplicated + refused */
  inspected: number;
  inserted: number;
  deduplicated: number;
  refused: number;
  threads: number;
  federation_pairs: number;
  consent_grants: number;
  identity: IdentityOutcome;
  /** Who this instance is afterwards. */
  instance_did: string;
  /** Names of accounts that existed and stayed as they are. */
  accounts_kept: string[];
  /** Tokens of the bundle that open this instance now. */
  tokens: number;
  /** Pairs of another DID that have no effect here (`--keep-identity`). */
  inert_pairs: number;
  dry_run: boolean;
  /** Its number, for `spl rollback`; null on a dry run. */
  batch: number | null;
  /** Why the instance did not come up right afterwards, one line; null when it did. */
  problem: string | null;
  /** Null on a dry run. */
  receipt: ImportReceipt | null;
}

/** Signed by the destination after its commit (spec, section 5). `sig` covers the JCS of all other fields. */
export interface ImportReceipt {
  source_did: string;
  destination_did: string;
  records_root: string;
  digest: string;
  records: number;
  inserted: number;
  deduplicated: number;
  imported_at: string;
  /** base64url, over `syncropel-receipt-v1:` and the canonical JSON of the other fields. */
  sig: string;
}

export type RestoreSummary = Omit<ImportSummary, "identity"> & {
  /** `created`: the bundle had no private key, and a new identity was asked for. */
  identity: "adopted" | "created";
};

/** One import, as `spl rollback list` shows it. */
export interface ImportView {
  n: number;
  /** ISO 8601. */
  at: string;
  source_did: string;
  inserted: number;
  /** The instance before it. */
  digest_before: string;
  records_before: number;
  did_before: string;
  /** Who the instance was after it. */
  did_after: string;
  /** `undone`: a rollback took it back; `kept`: an earlier release made it, which kept no way back. */
  state: "standing" | "undone" | "kept";
}

export interface RollbackOptions {
  /** The first batch to undo; null for the last one that stands. */
  batch: number | null;
  /** Folder of the copies of what rollbacks remove, outside the home. */
  copies: string;
  /** Leave the copy out where nothing came since the batch: what it brought is in the bundle that was imported. */
  sparing?: boolean;
  /** Who rolls back, for the audit table. */
  by?: string;
}

export interface RollbackSummary {
  /** The first batch that was undone, and how many were. */
  batch: number;
  batches: number;
  /** The bundle of everything as it was; null where none was needed. */
  copy: string | null;
  removed: number;
  /** Of these, records that no import brought: written here or synced since. */
  removed_local: number;
  /** Records that have the envelope again that an import had replaced. */
  restored: number;
  records: number;
  /** Proven to be the one recorded before the import. */
  digest: string;
  identity: "unchanged" | "restored";
  instance_did: string;
  /** The identity that this home has given up; null where it stays who it is. */
  left_did: string | null;
}

export interface DoctorRow {
  check: string;
  result: "pass" | "warn" | "fail";
  detail: string;
  /** What to type to mend it. */
  fix: string | null;
}
