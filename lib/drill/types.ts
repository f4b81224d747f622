/** The contract of this room: what a drill does, in which order, and what it leaves. */

/** In their order; `read` takes the place of `export` where a bundle is given. */
export const PHASES = [
  "export",
  "read",
  "verify",
  "boot",
  "import",
  "compare",
  "re-export",
  "tear-down",
] as const;
export type Phase = (typeof PHASES)[number];

export interface PhaseTime {
  phase: Phase;
  ms: number;
}

/** What a good drill proved, in the words of the identity that came back. */
export interface DrillFacts {
  did: string;
  /** 32 bytes, hex: the DID ends with its fingerprint. */
  public_key: string;
  records: number;
  threads: number;
  /** Records that were read back one by one and compared. */
  sampled: number;
  accounts: number;
  federation_pairs: number;
  consent_grants: number;
  digest: string;
  records_root: string;
  /** Of the bundle and of the fresh export alike. */
  bundle_sha256: string;
  /** SHA-256 of the plain bundle file. */
  file_sha256: string;
  /** Whether the fresh export is the same file; false where another release of the compressor wrote the bundle. */
  same_file: boolean;
  /** URL or socket of the instance that was exported, or the path of the bundle. */
  source: string;
  /** Of the instance that was exported; null for a bundle. */
  source_version: string | null;
  /** Of this program, which brought it back. */
  version: string;
  /** Whole milliseconds, those before the signature. */
  phases: { phase: string; ms: number }[];
  /** From the start of an empty instance until it answered with the right digest. */
  recovered_ms: number;
  /** ISO 8601, UTC: when the drill began. */
  at: string;
}

/** `sig`: base64url of the Ed25519 signature over `syncropel-drill-v1:` and the canonical JSON of all else. */
export interface Receipt extends DrillFacts {
  sig: string;
}
