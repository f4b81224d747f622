import { fromBase64Url, fromHex, toBase64Url, toHex, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { MAX_DID_BYTES, MAX_LABEL, MAX_RECORD_BYTES } from "../base/limits.ts";
import { sha256 } from "../base/sha256.ts";
import { certifies } from "../identity/did.ts";
import { ed25519 } from "../identity/ed25519.ts";
import type { KeyPair } from "../identity/key.ts";
import { readPublicKey } from "../identity/public_key.ts";
import { verifyEntryAside } from "../identity/record_signature.ts";
import { canonicalText } from "../record/canonical.ts";
import { parseEnvelopeLine } from "../record/envelope.ts";
import { parseCanonicalJson } from "../record/json.ts";
import { isDid } from "../record/shape.ts";
import type { Entry, Json, JsonObject } from "../record/types.ts";
import { count, exactFields, hex32, isAscending, oneOf, text } from "./fields.ts";
import { compareThreads } from "./groups.ts";
import type { SignerLine } from "./types.ts";

/**
 * An actor on its way to another instance: NDJSON, each line canonical JSON. First the header, signed by the instance that
 * wrote it; then `{did, public_key}` of every other signer, ascending; then envelopes `{id, record, sig, signer}`, threads
 * by bytes and each in canonical order. The header's root covers the ids, so that no record can be left out on the way.
 */

const FORMAT = "spl-actor";
const VERSION = 1;
const PREFIX = "syncropel-actor-v1:";
/** Instances that one file may name as origins of its actor. */
export const MAX_ORIGINS = 64;
/** Signatures that are checked at the same time. */
const AT_ONCE = 128;
/** Signers beside the source. */
const MAX_SIGNERS = 100_000;
/** One line: an envelope is a record, two ids, a signature and a DID. */
export const MAX_ACTOR_LINE = MAX_RECORD_BYTES + 4 * 1024;

const HEADER = [
  "actor",
  "format",
  "memories",
  "name",
  "origins",
  "public_key",
  "records",
  "records_root",
  "sig",
  "signers",
  "source_did",
  "version",
];

export interface Origin {
  did: string;
  /** What outcomes of this instance count for the actor at the source, from 0 to 1. */
  weight: number;
}

export interface ActorFileFacts {
  actor: string;
  /** As registered at the source. */
  name: string | null;
  source_did: string;
  /** 64 hex. */
  public_key: string;
  /** False when what the actor knows and learned was left out. */
  memories: boolean;
  /** Ascending by DID, the source among them. */
  origins: Origin[];
  /** Lines of signers. */
  signers: number;
  /** Lines of envelopes. */
  records: number;
  /** SHA-256 over the raw ids in the order of the file, 64 hex. */
  records_root: string;
}

/** A line of the input without its line feed, numbered from 1. */
export interface NumberedLine {
  number: number;
  bytes: Uint8Array;
}

export type ActorFileEvent =
  | { kind: "header"; header: ActorFileFacts }
  | { kind: "signers"; signers: SignerLine[] }
  /** Checked records of one thread. */
  | { kind: "records"; entries: Entry[] };

/** The header with its line feed. */
export function actorHeader(facts: ActorFileFacts, key: KeyPair): string {
  const fields = { ...facts, format: FORMAT, version: VERSION } as unknown as JsonObject;
  return `${canonicalText({ ...fields, sig: toBase64Url(key.sign(message(fields))) })}\n`;
}

/**
 * Reads a file to its end and checks all that can be checked without a store: header, order, count and root, and each
 * record's bytes, hash and signature. Nothing after an event has been checked when it is told.
 * @throws SplError bundle_malformed naming the line
 */
export async function* readActorFile(
  batches: AsyncIterable<NumberedLine[]>,
): AsyncGenerator<ActorFileEvent, void> {
  const reader = new ActorFileReader();
  for await (const lines of batches) {
    for (const { number, bytes } of lines) {
      try {
        reader.add(bytes, number);
      } catch (error) {
        throw error instanceof SplError ? malformedLine(number, error.message, error) : error;
      }
      yield* reader.events();
    }
    yield* await reader.records();
  }
  reader.end();
}

export function malformedActor(what: string, cause?: unknown): SplError {
  return new SplError("bundle_malformed", `actor file malformed: ${what}`, {
    hint: "nothing was changed; export the actor again from its source",
    cause,
  });
}

function malformedLine(number: number, what: string, cause?: unknown): SplError {
  return malformedActor(`line ${number}: ${what}`, cause);
}

/** A record whose signature has not been checked yet. */
interface Unchecked {
  entry: Entry;
  key: Uint8Array;
  line: number;
}

class ActorFileReader {
  readonly #keys = new Map<string, Uint8Array>();
  readonly #root = sha256.stream();
  readonly #signers: SignerLine[] = [];
  #header: ActorFileFacts | null = null;
  readonly #ready: ActorFileEvent[] = [];
  #unchecked: Unchecked[] = [];
  #previous: Entry | null = null;
  #records = 0;

  add(bytes: Uint8Array, line: number): void {
    if (this.#header === null) this.#begin(bytes);
    else if (this.#signers.length < this.#header.signers) this.#addSigner(bytes);
    else this.#addRecord(bytes, line, this.#header);
  }

  events(): ActorFileEvent[] {
    return this.#ready.splice(0);
  }

  /** The records since the last call, once their signatures have been checked. */
  async records(): Promise<ActorFileEvent[]> {
    const unchecked = this.#unchecked;
    this.#unchecked = [];
    for (let at = 0; at < unchecked.length; at += AT_ONCE) {
      const some = unchecked.slice(at, at + AT_ONCE);
      const valid = await Promise.all(some.map(({ entry, key }) => verifyEntryAside(entry, key)));
      const wrong = some.find((_, i) => !valid[i]);
      if (wrong) throw malformedLine(wrong.line, `its signature by ${wrong.entry.signer} is not valid`);
    }
    const runs = Map.groupBy(
      unchecked.map(({ entry }) => entry),
      (entry) => entry.thread,
    );
    return [...runs.values()].map((entries) => ({ kind: "records", entries }));
  }

  end(): void {
    if (this.#header === null) throw malformedActor("it is empty");
    const { records, records_root } = this.#header;
    if (this.#records !== records || this.#signers.length !== this.#header.signers) {
      throw malformedActor(`it ends after ${this.#records} of ${records} records`);
    }
    if (toHex(this.#root.digest()) !== records_root)
      throw malformedActor("its records are not those of its header");
  }

  #begin(bytes: Uint8Array): void {
    const header = parseHeader(parseCanonicalJson(bytes));
    this.#header = header;
    this.#keys.set(header.source_did, fromHex(header.public_key, 32)!);
    this.#ready.push({ kind: "header", header });
    if (header.signers === 0) this.#ready.push({ kind: "signers", signers: [] });
  }

  #addSigner(bytes: Uint8Array): void {
    const line = exactFields(parseCanonicalJson(bytes), ["did", "public_key"]);
    const signer = { did: did(line.did), public_key: hex32(line, "public_key") };
    const previous = this.#signers.at(-1);
    if (previous && previous.did >= signer.did) throw unfit("the signers are not in ascending order");
    if (this.#keys.has(signer.did)) throw unfit("it names the source again");
    this.#keys.set(signer.did, readPublicKey(fromHex(signer.public_key, 32)!));
    this.#signers.push(signer);
    if (this.#signers.length === this.#header!.signers)
      this.#ready.push({ kind: "signers", signers: this.#signers });
  }

  #addRecord(bytes: Uint8Array, line: number, { records }: ActorFileFacts): void {
    if (this.#records === records) throw unfit(`it goes on behind its ${records} records`);
    const entry = parseEnvelopeLine(bytes);
    if (this.#previous && compareThreads(this.#previous, entry) >= 0) throw unfit("out of canonical order");
    const key = this.#keys.get(entry.signer);
    if (!key) throw unfit(`its signer ${entry.signer} is not among the signers`);
    this.#root.update(fromHex(entry.id, 32)!);
    this.#unchecked.push({ entry, key, line });
    this.#previous = entry;
    this.#records++;
  }
}

function parseHeader(value: Json): ActorFileFacts {
  const fields = exactFields(value, HEADER);
  oneOf(fields, "format", [FORMAT]);
  if (fields.version !== VERSION) {
    throw unfit(`version ${JSON.stringify(fields.version)} is not known to this release`);
  }
  if (typeof fields.memories !== "boolean") throw unfit("memories is neither true nor false");
  const header: ActorFileFacts = {
    actor: did(fields.actor),
    name: fields.name === null ? null : text(fields, "name", 1, MAX_LABEL),
    source_did: did(fields.source_did),
    public_key: hex32(fields, "public_key"),
    memories: fields.memories,
    origins: originsOf(fields.origins!),
    signers: count(fields, "signers", MAX_SIGNERS),
    records: count(fields, "records"),
    records_root: hex32(fields, "records_root"),
  };
  const key = readPublicKey(fromHex(header.public_key, 32)!);
  if (!certifies(header.source_did, key)) throw unfit(`public_key is not the key of ${header.source_did}`);
  const { sig, ...signed } = fields;
  const signature = typeof sig === "string" ? fromBase64Url(sig, 64) : null;
  if (signature === null || !ed25519.verify(signature, message(signed), key)) {
    throw unfit("signature verification failed");
  }
  return header;
}

function originsOf(value: Json): Origin[] {
  if (!Array.isArray(value) || value.length > MAX_ORIGINS)
    throw unfit("origins is no list of a bearable size");
  const origins = value.map((item) => {
    const { did: from, weight } = exactFields(item, ["did", "weight"]);
    if (typeof weight !== "number" || weight < 0 || weight > 1) throw unfit("a weight is not from 0 to 1");
    return { did: did(from), weight };
  });
  if (!isAscending(origins.map((origin) => origin.did))) throw unfit("origins are not in ascending order");
  return origins;
}

function did(value: Json | undefined): string {
  if (isDid(value)) return value;
  throw unfit(`${JSON.stringify(value).slice(0, MAX_DID_BYTES)} is not a DID`);
}

function message(fields: JsonObject): Uint8Array {
  return utf8(PREFIX + canonicalText(fields));
}

function unfit(what: string): SplError {
  return new SplError("invalid_record", what);
}
