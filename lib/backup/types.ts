/** The contract of this room: where backups are kept, and what is known of each. */

export interface StoredFile {
  name: string;
  bytes: number;
}

/** A place that holds whole files under plain names. Every method throws SplError that names the place. */
export interface BackupTarget {
  /** As it is told to people: an absolute folder, or `s3://bucket/prefix`. Never holds a secret. */
  readonly url: string;
  /** Files in the order of their names. */
  list(): Promise<StoredFile[]>;
  /** The file appears whole, when all is durable, or not at all. An abort of `signal` leaves nothing behind. */
  write(name: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  /** @throws SplError not_found */
  read(name: string): AsyncIterable<Uint8Array>;
  /** A file that is not there is no error. */
  remove(name: string): Promise<void>;
  /** Removes what an earlier run that was killed has left of files whose names start so. */
  clearTemporaries(prefix: string): Promise<void>;
}

/** `content`: decoded, every hash and signature checked. `ciphertext`: its SHA-256 is that of what was written. */
export type Verified = "content" | "ciphertext";

/** What the ledger says of a backup. Times are ISO 8601, UTC. */
export interface LedgerEntry {
  bytes: number;
  /** Of the file, hex. */
  sha256: string;
  records: number;
  /** Of the bundle's members, hex; equal for equal content. */
  bundle_sha256: string;
  taken_at: string;
  /** How it was last found sound; null when it never was, or is damaged. */
  verified: Verified | null;
  /** When it was last read whole. */
  read_at: string | null;
  /** What was wrong with it when it was last read, or null. */
  damage: string | null;
}
