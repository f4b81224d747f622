import { SplError } from "../base/errors.ts";
import {
  MAX_BODY_BYTES,
  MAX_BODY_DEPTH,
  MAX_DID_BYTES,
  MAX_LABEL,
  MAX_PARENTS,
  MAX_RECORD_BYTES,
  MAX_THREAD_NAME,
} from "../base/limits.ts";
import { isPlainText } from "../base/text.ts";
import { canonicalBytes } from "./canonical.ts";
import { parseCanonicalJson } from "./json.ts";
import {
  ACTS,
  type Act,
  DATA_TYPES,
  type DataType,
  type HashedFields,
  type Json,
  type JsonObject,
} from "./types.ts";

/** What `emit` takes: a record whose missing fields the instance assigns. */
export interface Emission {
  thread: string;
  act: Act;
  body: JsonObject;
  data_type: DataType;
  judged_by: string | null;
  actor?: string;
  /** Ascending and unique. */
  parents?: string[];
  clock?: number;
}

const RECORD_ID = /^[0-9a-f]{64}$/;
const THREAD = new RegExp(`^th_[A-Za-z0-9_-]{1,${MAX_THREAD_NAME}}$`);
// W3C DID Core, section 3.1: the method-specific id may hold colons, but not end with one.
const DID = /^did:[a-z0-9]+:(?:[A-Za-z0-9._:-]|%[0-9A-Fa-f]{2})+(?<!:)$/;
const ACT_NAMES: ReadonlySet<unknown> = new Set(ACTS);
const DATA_TYPE_NAMES: ReadonlySet<unknown> = new Set(DATA_TYPES);
const HASHED = ["act", "actor", "body", "clock", "data_type", "parents", "thread"];
const EMITTED = ["thread", "act", "body", "data_type", "actor", "parents", "clock", "judged_by"];
const EMITTED_REQUIRED = ["thread", "act", "body"];

export function isRecordId(value: unknown): value is string {
  return typeof value === "string" && RECORD_ID.test(value);
}

export function isThread(value: unknown): value is string {
  return typeof value === "string" && THREAD.test(value);
}

/** A DID by the W3C syntax: ASCII, no path, query or fragment, at most 256 bytes. */
export function isDid(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_DID_BYTES && DID.test(value);
}

/** A name to show: 1 to 256 UTF-16 code units, none of them a control character. */
export function isLabel(value: unknown): value is string {
  return typeof value === "string" && isPlainText(value, 1, MAX_LABEL);
}

/**
 * A record as import and sync take it: nothing but the canonical bytes of its seven fields.
 * @throws SplError invalid_record, invalid_json
 */
export function parseCanonicalRecord(bytes: Uint8Array): HashedFields {
  checkRecordSize(bytes.length);
  // The record itself is one level around the body.
  return checkCanonicalRecord(parseCanonicalJson(bytes, MAX_BODY_DEPTH + 1), bytes.length);
}

/**
 * The seven hashed fields, exactly these, each by the rules of spec section 2.
 * @param value as it was read from canonical JSON, whose depth was bounded then
 * @param size of the record's canonical bytes
 * @throws SplError invalid_record, naming the field and what is wrong with it
 */
export function checkCanonicalRecord(value: Json, size: number): HashedFields {
  checkRecordSize(size);
  const fields = checkHashed(value);
  if (size > MAX_BODY_BYTES) checkBodySize(fields.body);
  return fields;
}

/**
 * One `emit` line. `thread`, `act` and `body` are needed; `data_type` is SCALAR unless given; `parents` are
 * sorted here, and repetitions dropped.
 * @throws SplError invalid_record
 */
export function parseEmission(value: unknown): Emission {
  const fields = checkNames(value, EMITTED, EMITTED_REQUIRED);
  const { thread, act, body, data_type = "SCALAR", judged_by = null, actor, parents, clock } = fields;
  const emission: Emission = {
    thread: checkThread(thread),
    act: checkAct(act),
    body: checkBody(checkObject(body, "body")),
    data_type: checkDataType(data_type),
    judged_by: checkJudgedBy(judged_by),
  };
  if (actor !== undefined) emission.actor = checkActor(actor);
  if (parents !== undefined) emission.parents = checkParents(sorted(parents));
  if (clock !== undefined) emission.clock = checkClock(clock);
  return emission;
}

/** @throws SplError invalid_record */
export function checkJudgedBy(value: unknown): string | null {
  if (value !== null && !isRecordId(value)) throw invalid(`judged_by must be a record id or null`);
  return value;
}

function invalid(message: string): SplError {
  return new SplError("invalid_record", message);
}

function checkRecordSize(size: number): void {
  if (size > MAX_RECORD_BYTES) throw invalid(`a record has at most ${MAX_RECORD_BYTES} bytes, not ${size}`);
}

function checkHashed(value: unknown): HashedFields {
  const fields = checkNames(value, HASHED, HASHED);
  checkAct(fields.act);
  checkActor(fields.actor);
  checkObject(fields.body, "body");
  checkClock(fields.clock);
  checkDataType(fields.data_type);
  checkParents(fields.parents);
  checkThread(fields.thread);
  return fields as unknown as HashedFields;
}

function checkNames(value: unknown, allowed: string[], required: string[]): Record<string, unknown> {
  const fields = checkObject(value, "a record");
  const names = Object.keys(fields);
  for (const name of names) {
    if (!allowed.includes(name)) throw invalid(`unknown field ${JSON.stringify(name.slice(0, 64))}`);
  }
  for (const name of required) {
    if (!Object.hasOwn(fields, name)) throw invalid(`${name} is missing`);
  }
  return fields;
}

function checkObject(value: unknown, name: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(`${name} must be a JSON object`);
  }
  return value as JsonObject;
}

function checkThread(value: unknown): string {
  if (!isThread(value)) {
    throw invalid(`thread must be th_ and then 1 to ${MAX_THREAD_NAME} of A-Z a-z 0-9 _ -`);
  }
  return value;
}

function checkActor(value: unknown): string {
  if (!isDid(value)) throw invalid(`actor must be a DID of at most ${MAX_DID_BYTES} bytes`);
  return value;
}

function checkAct(value: unknown): Act {
  if (!ACT_NAMES.has(value)) throw invalid(`act must be one of ${ACTS.join(" ")}`);
  return value as Act;
}

function checkDataType(value: unknown): DataType {
  if (!DATA_TYPE_NAMES.has(value)) throw invalid(`data_type must be one of ${DATA_TYPES.join(" ")}`);
  return value as DataType;
}

function checkClock(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw invalid("clock must be an integer from 0 to 2^53 - 1");
  }
  return value as number;
}

function sorted(value: unknown): unknown {
  return Array.isArray(value) ? [...new Set(value)].sort() : value;
}

function checkParents(value: unknown): string[] {
  if (!Array.isArray(value)) throw invalid("parents must be an array of record ids");
  if (value.length > MAX_PARENTS)
    throw invalid(`parents must be at most ${MAX_PARENTS}, not ${value.length}`);
  let previous = "";
  for (const parent of value) {
    if (!isRecordId(parent)) throw invalid("parents must be record ids: 64 lowercase hex digits");
    if (parent <= previous) throw invalid("parents must be in ascending order, each once");
    previous = parent;
  }
  return value;
}

function checkBody(body: JsonObject): JsonObject {
  if (boundJson(body, MAX_BODY_DEPTH) > MAX_BODY_BYTES) checkBodySize(body);
  return body;
}

function checkBodySize(body: JsonObject): void {
  const size = canonicalBytes(body).length;
  if (size > MAX_BODY_BYTES) throw invalid(`body has at most ${MAX_BODY_BYTES} canonical bytes, not ${size}`);
}

/**
 * Checks that a body is plain JSON of at most `levels` nested arrays and objects. Returns an upper bound of its
 * canonical bytes, which saves most bodies from being written out just to be measured.
 */
function boundJson(value: unknown, levels: number): number {
  if (value === null || typeof value === "boolean") return 5;
  if (typeof value === "number" && Number.isFinite(value)) return 25;
  if (typeof value === "string") return boundString(value);
  if (typeof value !== "object") throw invalid(`body holds ${String(value)}, which is no JSON value`);
  if (levels === 0) throw invalid(`body has at most ${MAX_BODY_DEPTH} nested levels`);
  let bound = 2;
  if (Array.isArray(value)) {
    for (const item of value) bound += boundJson(item, levels - 1) + 1;
    return bound;
  }
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") throw invalid("body must be plain JSON");
  for (const key of Object.keys(value)) {
    bound += boundString(key) + boundJson((value as JsonObject)[key], levels - 1) + 2;
  }
  return bound;
}

/** Six bytes a code unit, as `\u0001` has, are the most that JCS writes. */
function boundString(text: string): number {
  if (!text.isWellFormed()) throw invalid("body holds a lone surrogate");
  return text.length * 6 + 2;
}
