import { fromUtf8, toBase64Url, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import type { Selection } from "../store/types.ts";
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

/** @param seq the number behind which the next page begins */
export function writeCursor({ store, peer, shared, openings }: CursorOf, seq: number): string {
  const fields = { v: VERSION, store, peer, filter: selectionHash(shared), openings, seq };
  return toBase64Url(utf8(JSON.stringify(fields)));
}

/**
 * The number behind which the page begins.
 * @param last the store's highest number: a cursor beyond it is of a store that was rolled back
 * @throws SplError cursor_invalid for every cursor that was not given out for just this
 */
export function readCursor(text: string, of: CursorOf, last: number): number {
  const seq = seqIn(text);
  if (seq !== null && seq <= last && writeCursor(of, seq) === text) return seq;
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
