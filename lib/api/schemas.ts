import { z } from "zod";
import { ACTS, DATA_TYPES } from "../record/types.ts";

/**
 * Every shape that crosses the wire, once. The server parses and documents with these schemas (`/openapi.json`);
 * the client imports only their types from `wire.ts`, so that zod stays out of the command line's start-up.
 * Schemas with an `id` become components of the OpenAPI document. Times are ISO 8601 in UTC; ids, digests, roots
 * and keys are lowercase hex; signatures are base64url without padding.
 */

const count = z.int().min(0);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const did = z.string().max(256).describe("a DID (W3C syntax)");
const thread = z.string().regex(/^th_[A-Za-z0-9_-]{1,128}$/);

export const Problem = z
  .looseObject({
    type: z.string().describe("urn:syncropel:problem:<code>"),
    title: z.string(),
    status: z.int(),
    code: z.string().describe("stable; what scripts should look at"),
    detail: z.string().describe("what happened, one line"),
    hint: z.string().optional().describe("what to type or do next"),
  })
  .meta({ id: "Problem", description: "RFC 9457; further members are facts of the error" });

export const Health = z
  .strictObject({ status: z.literal("ok"), version: z.string(), instance_did: did })
  .meta({ id: "Health" });

export const Status = z
  .strictObject({
    status: z.literal("ok"),
    version: z.string(),
    url: z.string().describe("the public URL, else the bound address"),
    home: z.string(),
    pid: z.int(),
    instance_did: did,
    epoch: z.int().describe("Unix milliseconds, or higher"),
    state: z.enum(["active", "superseded", "revoked"]),
    records: count,
    threads: count,
    forks: count.describe("surplus records at positions that several claim"),
    digest: hash.describe("order-independent fingerprint of all records"),
    uptime_s: count,
  })
  .meta({ id: "Status" });

export const Record = z
  .strictObject({
    parents: z.array(hash).max(64),
    thread,
    actor: did,
    act: z.enum(ACTS),
    body: z.record(z.string(), z.unknown()),
    clock: count,
    data_type: z.enum(DATA_TYPES),
    judged_by: hash.nullable(),
  })
  .meta({ id: "Record" });

const envelope = { id: hash, record: Record, signer: did, sig: z.string().length(86) };

export const Envelope = z.strictObject(envelope).meta({
  id: "Envelope",
  description: "a record and who vouches for it; as NDJSON in canonical form (RFC 8785)",
});

export const FeedEntry = z
  .strictObject({ seq: z.int().min(1).describe("only grows; local to this instance"), ...envelope })
  .meta({ id: "FeedEntry" });

export const Emission = z
  .strictObject({
    thread,
    act: z.enum(ACTS),
    body: z.record(z.string(), z.unknown()),
    data_type: z.enum(DATA_TYPES).optional().describe("SCALAR unless given"),
    actor: did.optional(),
    parents: z.array(hash).max(64).optional().describe("the thread's heads unless given"),
    clock: count.optional().describe("one above the thread's highest unless given"),
    judged_by: hash.nullable().optional(),
  })
  .meta({ id: "Emission" });

export const Emitted = z
  .strictObject({
    id: hash,
    thread,
    clock: count,
    deduplicated: z.boolean().describe("true when exactly this record was there before"),
  })
  .meta({ id: "Emitted" });

export const EmittedBatch = z
  .strictObject({ emitted: count, deduplicated: count })
  .meta({ id: "EmittedBatch", description: "counts of lines; emitted includes deduplicated" });

const threadSummary = {
  thread,
  namespace: z.string(),
  goal: z.string().nullable(),
  state: z.enum(["open", "done", "canceled", "none"]),
  records: count,
  forks: count,
  clock: count.describe("the highest of the thread"),
  digest: hash,
};

export const ThreadSummary = z.strictObject(threadSummary).meta({ id: "ThreadSummary" });

export const ThreadDetail = z
  .strictObject({
    ...threadSummary,
    heads: z.array(hash),
    forked: z.array(z.strictObject({ actor: did, clock: count, ids: z.array(hash) })),
  })
  .meta({ id: "ThreadDetail" });

export const Actor = z
  .strictObject({ actor: did, name: z.string().nullable(), records: count, registered: z.boolean() })
  .meta({ id: "Actor" });

export const NewActor = z
  .strictObject({
    actor: did,
    name: z.string().min(1).max(256).optional(),
    by: did.optional().describe("who registers it; the actor itself unless given"),
  })
  .meta({ id: "NewActor" });

export const Identity = z
  .strictObject({
    did,
    public_key: hash.describe("Ed25519, 32 bytes"),
    epoch: z.int(),
    document: z.record(z.string(), z.unknown()).describe("the DID document"),
  })
  .meta({ id: "Identity" });

export const Pair = z
  .strictObject({
    id: hash,
    peer_did: did,
    url: z.string().nullable(),
    state: z.enum(["establishing", "active", "paused", "revoked"]),
    last_sync: z.string().nullable().describe("null until the first sync on this host"),
  })
  .meta({ id: "Pair" });

export const NewToken = z
  .strictObject({
    account: z.string(),
    scopes: z.array(z.string()).min(1),
    actors: z.array(did).optional().describe("actors it may speak for; none means any"),
    description: z.string().max(1024).optional(),
    expires_at: z.iso.datetime().nullable().optional(),
  })
  .meta({ id: "NewToken" });

export const MintedToken = z
  .strictObject({
    token: z.string().describe("shown this once; only its SHA-256 is kept"),
    account: z.string(),
    scopes: z.array(z.string()),
  })
  .meta({ id: "MintedToken" });

export const Manifest = z
  .strictObject({
    format: z.literal("spl-bundle"),
    bundle_version: z.literal(1),
    source_did: did,
    public_key: hash,
    record_count: count,
    thread_count: count,
    federation_pairs: count,
    consent_grants: count,
    identity: z.enum(["included", "none", "only"]),
    tokens: z.enum(["carried", "none"]),
    records_root: hash,
    bundle_sha256: hash,
  })
  .meta({ id: "Manifest" });

export const BundleVerified = z
  .strictObject({ signature: z.literal("valid"), source_did: did, manifest: Manifest })
  .meta({ id: "BundleVerified" });

export const ImportReceipt = z
  .strictObject({
    source_did: did,
    destination_did: did,
    records_root: hash,
    digest: hash,
    records: count,
    inserted: count,
    deduplicated: count,
    imported_at: z.string(),
    sig: z.string(),
  })
  .meta({ id: "ImportReceipt", description: "signed by the destination after its commit" });

export const ImportSummary = z
  .strictObject({
    signature: z.literal("valid"),
    source_did: did,
    inspected: count.describe("inserted + deduplicated + refused"),
    inserted: count,
    deduplicated: count,
    refused: count,
    threads: count,
    federation_pairs: count,
    consent_grants: count,
    identity: z.enum(["adopted", "unchanged", "kept"]),
    instance_did: did.describe("who the instance is afterwards"),
    accounts_kept: z.array(z.string()),
    tokens: count.describe("tokens of the bundle that open this instance now"),
    inert_pairs: count,
    dry_run: z.boolean(),
    receipt: ImportReceipt.nullable(),
  })
  .meta({ id: "ImportSummary" });

export const ImportEvent = z
  .discriminatedUnion("event", [
    BundleVerified.extend({ event: z.literal("verified") }),
    ImportSummary.extend({ event: z.literal("imported") }),
    z.strictObject({ event: z.literal("problem"), problem: Problem }),
  ])
  .meta({ id: "ImportEvent" });

/** One page of a listing: pass `next` as `after` for the following one; null at the end. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.strictObject({ items: z.array(item), next: z.string().nullable() });
}
