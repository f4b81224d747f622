import { fromBase64Url, fromHex, toBase64Url, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { MAX_URL } from "../base/limits.ts";
import { compareAscii } from "../base/text.ts";
import { canonicalText } from "../record/canonical.ts";
import type { Json, JsonObject } from "../record/types.ts";
import { certifies } from "./did.ts";
import { ed25519 } from "./ed25519.ts";
import type { KeyPair } from "./key.ts";
import { readPublicKey } from "./public_key.ts";

/**
 * Where an instance lives now, said by itself (spec, section 3). Names are those of the JSON form.
 */
export interface Statement {
  did: string;
  /** 64 hex. */
  public_key: string;
  /** http or https, without a slash at the end; null for an instance that others cannot reach. */
  url: string | null;
  /** Random per home, 32 hex: tells two homes of one identity apart. */
  steward_id: string;
  /** Unix milliseconds, or higher. */
  epoch: number;
  /** ISO 8601, UTC. */
  issued_at: string;
  /** A terminal statement: the identity has ended, and nothing outranks that. */
  revoked: boolean;
  /** base64url, over `syncropel-statement-v1:` and the canonical JSON of the other fields. */
  sig: string;
}

/** How far ahead of one's own clock a statement's epoch may lie, in milliseconds. */
const MAX_AHEAD_MS = 24 * 60 * 60 * 1000;
/** A statement's JSON is refused above this many bytes. */
export const MAX_STATEMENT_BYTES = 4096;

const FIELDS = ["did", "epoch", "issued_at", "public_key", "revoked", "sig", "steward_id", "url"];

export function signStatement(fields: Omit<Statement, "sig">, key: KeyPair): Statement {
  return { ...fields, sig: toBase64Url(key.sign(message(fields))) };
}

/**
 * A statement whose DID certifies its key and whose key signed it.
 * @param now own clock, Unix milliseconds
 * @throws SplError statement_refused saying why
 */
export function readStatement(value: Json, now: number): Statement {
  const statement = shaped(value);
  const key = fromHex(statement.public_key, 32)!;
  if (!certifies(statement.did, believable(key))) throw refused(`its key is not the key of ${statement.did}`);
  const { sig, ...fields } = statement;
  if (!ed25519.verify(fromBase64Url(sig, 64)!, message(fields), key)) throw refused("its signature is wrong");
  if (statement.epoch > now + MAX_AHEAD_MS) {
    throw refused("its epoch lies more than 24 hours ahead of this machine's clock");
  }
  return statement;
}

/**
 * Negative when `b` outranks `a`, positive when `a` outranks `b`: a revocation first, then epoch, then steward_id; of
 * one home at one epoch, which has only moved to another address, what was said last. 0 only between equal statements.
 */
export function compareStatements(a: Statement, b: Statement): number {
  return compareStewards(a, b) || compareAscii(a.issued_at, b.issued_at) || compareAscii(a.sig, b.sig);
}

/** Which of two is the steward: as `compareStatements`, but 0 between statements of one home at one epoch. */
export function compareStewards(a: Stewardship, b: Stewardship): number {
  return (
    Number(a.revoked) - Number(b.revoked) || a.epoch - b.epoch || compareAscii(a.steward_id, b.steward_id)
  );
}

type Stewardship = Pick<Statement, "revoked" | "epoch" | "steward_id">;

function message(fields: Omit<Statement, "sig">): Uint8Array {
  return utf8(`syncropel-statement-v1:${canonicalText({ ...fields } as JsonObject)}`);
}

function shaped(value: Json): Statement {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refused("it is no object");
  const { did, public_key, url, steward_id, epoch, issued_at, revoked, sig } = value;
  const fits =
    Object.keys(value).sort().join() === FIELDS.join() &&
    typeof did === "string" &&
    typeof public_key === "string" &&
    fromHex(public_key, 32) !== null &&
    (url === null || (typeof url === "string" && isPublishable(url))) &&
    typeof steward_id === "string" &&
    fromHex(steward_id, 16) !== null &&
    Number.isSafeInteger(epoch) &&
    (epoch as number) >= 0 &&
    typeof issued_at === "string" &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(issued_at) &&
    typeof revoked === "boolean" &&
    typeof sig === "string" &&
    fromBase64Url(sig, 64) !== null;
  if (!fits) throw refused("its fields are not those of a statement");
  return value as unknown as Statement;
}

/** http or https, as short as it can be written, with nothing that would be sent along. */
function isPublishable(url: string): boolean {
  const parsed = URL.parse(url);
  return (
    parsed !== null &&
    url.length <= MAX_URL &&
    (parsed.protocol === "http:" || parsed.protocol === "https:") &&
    parsed.username === "" &&
    parsed.password === "" &&
    parsed.origin + parsed.pathname.replace(/\/+$/, "") === url
  );
}

function believable(key: Uint8Array): Uint8Array {
  try {
    return readPublicKey(key);
  } catch (cause) {
    throw refused("its key is one that no verifier accepts", cause);
  }
}

function refused(why: string, cause?: unknown): SplError {
  return new SplError("statement_refused", `the endpoint statement is refused: ${why}`, { cause });
}
