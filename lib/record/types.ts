/** The shapes of spec section 2: record, envelope, and the entry that store and bundle carry. */

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export const ACTS = ["INTEND", "DO", "KNOW", "LEARN", "GET", "PUT", "CALL", "MAP"] as const;
export type Act = (typeof ACTS)[number];

export const DATA_TYPES = ["SCALAR", "FORMULA", "DISTRIBUTION", "REFERENCE", "MORPHISM", "VOID"] as const;
export type DataType = (typeof DATA_TYPES)[number];

/** The seven fields that the id is the hash of. */
export interface HashedFields {
  /** Record ids, ascending, unique, at most 64. */
  parents: string[];
  thread: string;
  actor: string;
  act: Act;
  body: JsonObject;
  clock: number;
  data_type: DataType;
}

export interface SplRecord extends HashedFields {
  /** A record id, or null. Not part of the id; covered by the signature. */
  judged_by: string | null;
}

/** A record with who vouches for it, in its wire form. */
export interface Envelope {
  record: SplRecord;
  /** DID of the instance whose key signed. */
  signer: string;
  /** 64 bytes, base64url without padding. */
  sig: string;
}

/**
 * An envelope as store and bundle carry it: the exact hashed bytes, and beside them what order, index and
 * signature need, so that nothing has to be parsed again.
 */
export interface Entry {
  /** 64 lowercase hex: SHA-256 of `canonical`. */
  id: string;
  thread: string;
  clock: number;
  actor: string;
  /** JCS bytes of the seven hashed fields. */
  canonical: Uint8Array;
  judged_by: string | null;
  signer: string;
  /** 64 bytes. */
  sig: Uint8Array;
}

/** An entry without its canonical bytes: what a first pass over a snapshot needs. */
export interface EntryHead extends Omit<Entry, "canonical"> {
  /** Length of the canonical bytes. */
  size: number;
}

/** The position of a record in the canonical order of its thread. */
export type OrderKey = Pick<Entry, "clock" | "actor" | "id">;
