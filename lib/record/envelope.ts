import { compareBytes, concatBytes, fromBase64Url, fromUtf8, toBase64Url } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { compareAscii } from "../base/text.ts";
import { canonicalBytes } from "./canonical.ts";
import { recordId } from "./id.ts";
import { parseCanonicalJson } from "./json.ts";
import { checkCanonicalRecord, checkJudgedBy, isDid, isRecordId } from "./shape.ts";
import type { Entry, Envelope, HashedFields, Json } from "./types.ts";

/** A record with its id and canonical bytes, before anyone has signed it. */
export type SealedRecord = Pick<Entry, "id" | "thread" | "clock" | "actor" | "canonical">;

/** Fixes a record's bytes and thereby its id. The fields must have been checked. */
export function sealEntry(fields: HashedFields): SealedRecord {
  const { act, actor, body, clock, data_type, parents, thread } = fields;
  const canonical = canonicalBytes({ act, actor, body, clock, data_type, parents, thread });
  return { id: recordId(canonical), thread, clock, actor, canonical };
}

/**
 * The wire form of an entry.
 * @throws SplError store_damaged when its bytes are no record
 */
export function entryToEnvelope(entry: Entry): Envelope {
  return {
    record: { ...recordFields(entry), judged_by: entry.judged_by },
    signer: entry.signer,
    sig: toBase64Url(entry.sig),
  };
}

/**
 * The canonical JSON of `{id, record, sig, signer}` without a line feed, where the record has all eight fields.
 * It is made of the canonical bytes as they are: in JCS order `judged_by` stands before `parents`, which nothing
 * behind it can be mistaken for.
 */
export function envelopeLine(entry: Entry): string {
  const text = recordText(entry);
  const at = text.lastIndexOf(',"parents":[');
  const judgedBy = entry.judged_by === null ? "null" : `"${entry.judged_by}"`;
  const record = `${text.slice(0, at)},"judged_by":${judgedBy}${text.slice(at)}`;
  return `{"id":"${entry.id}","record":${record},"sig":"${toBase64Url(entry.sig)}","signer":"${entry.signer}"}`;
}

/**
 * Reads what `envelopeLine` wrote, and only that: canonical bytes, exact fields, an id that is the record's hash.
 * The signature is not verified here.
 * @throws SplError invalid_json, invalid_record
 */
export function parseEnvelopeLine(bytes: Uint8Array): Entry {
  const { id, record, sig, signer } = exactly(parseCanonicalJson(bytes), "an envelope", [
    "id",
    "record",
    "sig",
    "signer",
  ]);
  if (!isRecordId(id)) throw invalid("id must be 64 lowercase hex digits");
  const signature = typeof sig === "string" ? fromBase64Url(sig, 64) : null;
  if (signature === null) throw invalid("sig must be 64 bytes in unpadded base64url");
  if (!isDid(signer)) throw invalid("signer must be a DID");
  const { judged_by, ...hashed } = exactly(record, "record", EIGHT);
  const judge = checkJudgedBy(judged_by);
  const judgeText = `,"judged_by":${JSON.stringify(judge)}`;
  const tail = `,"sig":"${sig}","signer":"${signer}"}`;
  const eight = bytes.subarray(RECORD_AT, bytes.length - tail.length);
  const { thread, clock, actor, parents } = checkCanonicalRecord(hashed, eight.length - judgeText.length);
  // All that stands behind the body is plain ASCII.
  const end = eight.length - `,"parents":${JSON.stringify(parents)},"thread":"${thread}"}`.length;
  const canonical = concatBytes(eight.subarray(0, end - judgeText.length), eight.subarray(end));
  const hash = recordId(canonical);
  if (hash !== id) {
    throw new SplError("invalid_record", `id is not the record's hash ${hash}`, { detail: { hash } });
  }
  return { id, thread, clock, actor, canonical, judged_by: judge, signer, sig: signature };
}

/** Where the record begins in an envelope's line. */
const RECORD_AT = `{"id":"${"0".repeat(64)}","record":`.length;

/**
 * Order of two envelopes of one id: by signer, then `judged_by` (null as the empty string), then signature, each
 * bytewise. Of two valid envelopes every instance keeps the smaller (spec, section 2).
 */
export function compareEnvelopes(
  a: Pick<Entry, "signer" | "judged_by" | "sig">,
  b: Pick<Entry, "signer" | "judged_by" | "sig">,
): number {
  return (
    compareAscii(a.signer, b.signer) ||
    compareAscii(a.judged_by ?? "", b.judged_by ?? "") ||
    compareBytes(a.sig, b.sig)
  );
}

const EIGHT = ["act", "actor", "body", "clock", "data_type", "judged_by", "parents", "thread"];

function invalid(message: string): SplError {
  return new SplError("invalid_record", message);
}

function recordText(entry: Entry): string {
  const text = fromUtf8(entry.canonical);
  if (text === null) throw damaged(entry);
  return text;
}

function recordFields(entry: Entry): HashedFields {
  const text = recordText(entry);
  try {
    const { body, ...fields } = JSON.parse(text) as HashedFields;
    if (typeof body === "object" && body !== null) return { ...fields, body };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw damaged(entry);
}

/** What is stored was checked when it came in, so that it was the disk that changed it. */
function damaged({ id }: Entry): SplError {
  return new SplError("store_damaged", `record ${id} is damaged`, {
    hint: "run spl doctor --deep, then move the home away and spl restore a bundle",
  });
}

function exactly(value: Json | undefined, name: string, fields: string[]): { [field: string]: Json } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(`${name} must be a JSON object`);
  }
  if (Object.keys(value).join() !== fields.join())
    throw invalid(`${name} must have exactly ${fields.join(" ")}`);
  return value;
}
