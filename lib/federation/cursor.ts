import { fromUtf8, toBase64Url, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import type { Reader, Selection } from "../store/types.ts";
import { selectionHash } from "./shared.ts";

/** What a cursor is good for: one store's numbers, handed to one peer, under one rule of what is shared. */
export interface CursorOf {
  /** The serving store's steward_id: in another store the same numbers mean other records. */
  store: string;
  /** DID of the peer that it was given to. */
  peer: string;
  shared: Selection;
  /** The store's count of late openings: what was passed over before one may be shared since. */
  openings: number;
}

/** A cursor is read back by who wrote it; for everyone else it is a text without meaning. */
export const MAX_CURSOR = 512;
const VERSION = 2;
/** Of the id of the last record that a cursor lies behind. */
const ID_DIGITS = 16;

/** @param seq the number behind which the next page begins */
export async function writeCursor(reader: Reader, of: CursorOf, seq: number): Promise<string> {
  const { store, peer, shared, openings } = of;
  // A home that was set back to a former state gives its numbers anew, to other records.
  const last = (await reader.idUpTo(seq))?.slice(0, ID_DIGITS) ?? null;
  const fields = { v: VERSION, store, peer, filter: selectionHash(shared), openings, seq, last };
  return toBase64Url(utf8(JSON.stringify(fields)));
}

/**
 * The number behind which the page begins.
 * @throws SplError cursor_invalid for every cursor that was not given out for just this
 */
export async function readCursor(reader: Reader, text: string, of: CursorOf): Promise<number> {
  const seq = seqIn(text);
  const isHere = seq !== null && seq <= (await reader.lastSeq());
  if (isHere && (await writeCursor(reader, of, seq)) === text) return seq;
  throw new SplError("cursor_invalid", "the cursor is not good here any more", {
    hint: "reconcile, and go on with the cursor that the answer brings",
  });
}

function seqIn(text: string): number | null {
  if (text.length > MAX_CURSOR) return null;
  try {
    const json = fromUtf8(Uint8Array.fromBase64(text, { alphabet: "base64url" }));
    const { seq } = JSON.parse(json ?? "") as { seq?: unknown };
    return Number.isSafeInteger(seq) && Number(seq) >= 0 ? Number(seq) : null;
  } catch {
    return null;
  }
}
