import { concatBytes, toBase64Url, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { nodeCrypto } from "../base/node_crypto.ts";
import type { KeyPair } from "../identity/key.ts";
import type { Reader, Selection } from "../store/types.ts";
import { selectionHash } from "./shared.ts";

/** What a cursor is good for: one store's numbers, handed to one peer, under one rule of what is shared. */
export interface CursorOf {
  /** The serving store's steward_id: in another store the same numbers mean other records. */
  store: string;
  /** Of the serving instance. */
  key: KeyPair;
  /** DID of the peer that it was given to. */
  peer: string;
  shared: Selection;
  /** The store's count of late openings: what was passed over before one may be shared since. */
  openings: number;
}

/** A cursor is read back by who wrote it; for everyone else it is a text without meaning. */
export const MAX_CURSOR = 512;
const CIPHER = "aes-256-gcm";
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** The number, then the beginning of the id of the last record that the cursor lies behind. */
const SEQ_BYTES = 8;
const ID_BYTES = 8;

/**
 * AES-256-GCM (NIST SP 800-38D), bound to all that the cursor is good for. Numbers and ids count what is private as well,
 * which no peer is to learn.
 * @param seq the number behind which the next page begins
 */
export async function writeCursor(reader: Reader, of: CursorOf, seq: number): Promise<string> {
  const iv = nodeCrypto().randomBytes(IV_BYTES);
  const cipher = nodeCrypto().createCipheriv(CIPHER, keyOf(of), iv).setAAD(boundTo(of));
  const sealed = concatBytes(cipher.update(await placeAt(reader, seq)), cipher.final());
  return toBase64Url(concatBytes(iv, cipher.getAuthTag(), sealed));
}

/**
 * The number behind which the page begins.
 * @throws SplError cursor_invalid for every cursor that was not given out for just this
 */
export async function readCursor(reader: Reader, text: string, of: CursorOf): Promise<number> {
  const place = unsealed(text, of);
  if (place !== null) {
    const seq = Number(new DataView(place.buffer, place.byteOffset).getBigUint64(0));
    // A home that was set back to a former state gives its numbers anew, to other records.
    const isHere = seq <= (await reader.lastSeq()) && Buffer.compare(await placeAt(reader, seq), place) === 0;
    if (isHere) return seq;
  }
  throw new SplError("cursor_invalid", "the cursor is not good here any more", {
    hint: "reconcile, and go on with the cursor that the answer brings",
  });
}

function unsealed(text: string, of: CursorOf): Uint8Array | null {
  try {
    const bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
    const [iv, tag] = [bytes.subarray(0, IV_BYTES), bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES)];
    const decipher = nodeCrypto()
      .createDecipheriv(CIPHER, keyOf(of), iv, { authTagLength: TAG_BYTES })
      .setAAD(boundTo(of))
      .setAuthTag(tag);
    return concatBytes(decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final());
  } catch {
    return null;
  }
}

async function placeAt(reader: Reader, seq: number): Promise<Uint8Array> {
  const place = new Uint8Array(SEQ_BYTES + ID_BYTES);
  new DataView(place.buffer).setBigUint64(0, BigInt(seq));
  const last = await reader.idUpTo(seq);
  if (last !== null) place.set(Uint8Array.fromHex(last).subarray(0, ID_BYTES), SEQ_BYTES);
  return place;
}

/** HKDF (RFC 5869) of the instance's own key. */
function keyOf({ key }: CursorOf): Uint8Array {
  return new Uint8Array(nodeCrypto().hkdfSync("sha256", key.seed, "", "syncropel-cursor-v3", 32));
}

function boundTo({ store, peer, shared, openings }: CursorOf): Uint8Array {
  return utf8(JSON.stringify({ store, peer, filter: selectionHash(shared), openings }));
}
