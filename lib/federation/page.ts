import { concatBytes, fromHex, fromUtf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { parseJson } from "../record/json.ts";
import { isDid } from "../record/shape.ts";
import type { Json } from "../record/types.ts";
import { MAX_CURSOR } from "./cursor.ts";
import { MAX_PAGE_LINE, PAGE_RECORDS } from "./feed.ts";

/** A page as it came in: cut into its parts, and nothing believed of what the envelopes say. */
export interface ReceivedPage {
  /** Lines that should be envelopes. */
  envelopes: Uint8Array[];
  /** Public keys by DID, as the peer states them. */
  signers: Map<string, Uint8Array>;
  cursor: string | null;
  more: boolean;
  bytes: number;
}

const LF = 0x0a;

/**
 * Reads one page to its end.
 * @param lines without their line feeds
 * @throws SplError peer_misbehaves for what is no page: without its last line, with more than it may hold
 */
export async function readPage(
  lines: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<ReceivedPage> {
  const page: ReceivedPage = { envelopes: [], signers: new Map(), cursor: null, more: false, bytes: 0 };
  let ended = false;
  for await (const line of lines) {
    page.bytes += line.length + 1;
    if (ended) throw misbehaves("goes on behind the end of its page");
    // `{"id":` is how every envelope begins.
    if (line[2] === 0x73) addSigner(page, line);
    else if (line[2] === 0x63) {
      readEnd(page, line);
      ended = true;
    } else if (page.envelopes.push(line) > PAGE_RECORDS) {
      throw misbehaves(`sends more than ${PAGE_RECORDS} records in one page`);
    }
  }
  if (!ended) throw misbehaves("sends a page without its end");
  return page;
}

export function misbehaves(what: string): SplError {
  return new SplError("peer_misbehaves", `the peer ${what}`, {
    hint: "ask its operator to look after it; spl federation pause ID stops asking it meanwhile",
  });
}

/** @throws SplError peer_misbehaves for a line that is longer than any of a page, or has no end */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let at = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, at)) {
      const tail = chunk.subarray(at, end);
      yield parts.length === 0 ? tail : concatBytes(...parts, tail);
      parts = [];
      length = 0;
      at = end + 1;
    }
    if (at === chunk.length) continue;
    length += chunk.length - at;
    if (length > MAX_PAGE_LINE) throw misbehaves(`sends a line of more than ${MAX_PAGE_LINE} bytes`);
    parts.push(chunk.subarray(at));
  }
  if (length > 0) throw misbehaves("sends a page that ends within a line");
}

function addSigner(page: ReceivedPage, line: Uint8Array): void {
  const { signer } = fieldsOf(line);
  if (typeof signer === "object" && signer !== null && !Array.isArray(signer)) {
    const { did, public_key } = signer;
    const key = typeof public_key === "string" ? fromHex(public_key, 32) : null;
    if (isDid(did) && key && page.signers.size < PAGE_RECORDS) {
      page.signers.set(did, key);
      return;
    }
  }
  throw misbehaves("sends a signer's line that is none");
}

function readEnd(page: ReceivedPage, line: Uint8Array): void {
  const { cursor, more } = fieldsOf(line);
  const fits = cursor === null || (typeof cursor === "string" && cursor.length <= MAX_CURSOR);
  if (!fits || typeof more !== "boolean") throw misbehaves("ends its page with something else than a cursor");
  page.cursor = cursor ?? null;
  page.more = more;
}

function fieldsOf(line: Uint8Array): { [field: string]: Json } {
  try {
    const value = parseJson(line);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {}
  throw misbehaves(
    `sends a line that is no JSON object: ${(fromUtf8(line.subarray(0, 60)) ?? "").slice(0, 40)}`,
  );
}
