import { z } from "zod";
import { ACTS, DATA_TYPES } from "../record/types.ts";

/**
 * Every shape that crosses the wire, once. The server parses and documents with these schemas (`/openapi.json`);
 * the client imports only their types from `wire.ts`, so that zod stays out of the command line's start-up.
 * Schemas with an `id` become components of the OpenAPI document. Times are ISO 8601 in UTC; ids, digests, roots
 * and keys are lowercase hex; signatures are base64url without padding.
 */

const count = z.int().min(0);
const hash = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 lowercase hex digits");
const did = z.string().max(256).describe("a DID (W3C syntax)");
const thread = z.string().regex(/^th_[A-Za-z0-9_-]{1,128}$/, "must be a thread id, th_…");

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

const steward = {
  state: z.enum(["active", "superseded", "revoked"]),
  moved_to: z.string().nullable().describe("where a superseded identity lives now, if it has an address"),
  same_address: z.boolean().describe("that is this home's own address: another home is reached there now"),
  since: z.string().nullable().describe("when this home lost the identity; null while it is active"),
};

export const Status = z
  .strictObject({
    status: z.literal("ok"),
    version: z.string(),
    url: z.string().describe("the public URL, else the bound address"),
    home: z.string(),
    pid: z.int(),
    instance_did: did,
    epoch: z.int().describe("Unix milliseconds, or higher"),
    ...steward,
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

export const Trust = z
  .strictObject({
    actor: did,
    domain: z.string(),
    trust: z.number().min(0).max(1).describe("Wilson lower bound at 95 %, over a prior of 7 in 10"),
    outcomes: count,
    successes: count,
    weight: z.number().min(0).describe("of the outcomes by now: each one's halves every 30 days"),
  })
  .meta({ id: "Trust" });

export const ActorDetail = z
  .strictObject({
    actor: did,
    name: z.string().nullable(),
    records: count,
    registered: z.boolean(),
    threads: count,
    signers: z.array(did).describe("instances that signed its records"),
    first_clock: count.nullable(),
    last_clock: count.nullable(),
    origins: z
      .array(z.strictObject({ did, weight: z.number().min(0).max(1) }))
      .describe("instances from which it was taken in, and what their outcomes count here"),
    trust: z.array(Trust),
  })
  .meta({ id: "ActorDetail" });

export const ActorImportSummary = z
  .strictObject({
    actor: did,
    name: z.string().nullable(),
    source_did: did,
    inspected: count.describe("inserted + deduplicated + refused"),
    inserted: count,
    deduplicated: count,
    refused: count,
    threads: count,
    signers: count,
    memories: z.boolean().describe("false when what the actor knows and learned was left out"),
    registrations: count.describe("records that this instance wrote on th_actor_registry"),
    trust_discount: z.number().min(0).max(1).describe("what the source's own outcomes count here"),
    dry_run: z.boolean(),
  })
  .meta({ id: "ActorImportSummary" });

export const NewActor = z
  .strictObject({
    actor: did,
    name: z.string().min(1).max(256).optional(),
    by: did.optional().describe("who registers it; the actor itself unless given"),
  })
  .meta({ id: "NewActor" });

export const Statement = z
  .strictObject({
    did,
    public_key: hash.describe("Ed25519, 32 bytes"),
    url: z
      .string()
      .max(2048)
      .nullable()
      .describe("where the instance lives; null where others cannot reach it"),
    steward_id: z
      .string()
      .regex(/^[0-9a-f]{32}$/, "must be 32 lowercase hex digits")
      .describe("random per home"),
    epoch: count.describe("Unix milliseconds, or higher; the higher one is the living steward"),
    issued_at: z.iso.datetime(),
    revoked: z.boolean().describe("the identity has ended"),
    sig: z.string().length(86),
  })
  .meta({
    id: "Statement",
    description:
      "an endpoint statement; Ed25519 over `syncropel-statement-v1:` and the JCS of the other fields",
  });

export const WellKnown = z
  .looseObject({
    did,
    public_key: hash,
    statement: Statement,
    versions: z.object({ spl: z.string(), federation: z.array(z.int()) }),
    capabilities: z.array(z.string()),
    issued_at: z.iso.datetime(),
    expires_at: z.iso.datetime(),
    sig: z.string().length(86),
  })
  .meta({
    id: "WellKnown",
    description: "Ed25519 over `syncropel-well-known-v1:` and the JCS of the other fields",
  });

export const RevokeIdentity = z
  .strictObject({ did: did.describe("of this instance: it cannot be taken back") })
  .meta({ id: "RevokeIdentity" });

export const RevokedIdentity = z
  .strictObject({
    did,
    epoch: z.int(),
    state: z.literal("revoked"),
    published: z.boolean().nullable().describe("whether the directory has it; null without one"),
    told: count.describe("pairs that have it already"),
    pairs: count,
  })
  .meta({ id: "RevokedIdentity" });

export const Identity = z
  .strictObject({
    did,
    public_key: hash.describe("Ed25519, 32 bytes"),
    epoch: z.int(),
    ...steward,
    document: z.record(z.string(), z.unknown()).describe("the DID document"),
  })
  .meta({ id: "Identity" });

const interval = z.int().min(5).max(2_592_000).describe("seconds between two polls");

export const Pair = z
  .strictObject({
    id: z.string().describe("the record that opened it; of a request, 12 hex"),
    peer_did: did,
    url: z.string().nullable(),
    state: z
      .enum(["establishing", "active", "degraded", "paused", "revoked"])
      .describe("degraded: active, and the last attempt failed"),
    approval: z
      .enum(["here", "there"])
      .nullable()
      .describe("whose operator has to approve it; null once that is done"),
    last_sync: z.string().nullable().describe("null until the first sync on this host"),
    mode: z.enum(["polling", "continuous", "on-demand"]),
    interval_s: interval,
    threads: z
      .array(thread)
      .nullable()
      .describe("only these threads are shared; null for all that consent allows"),
    problem: z.string().nullable().describe("why the last attempt failed; null once one succeeds"),
  })
  .meta({ id: "Pair" });

export const RequestPair = z.strictObject({ url: z.string().max(2048) }).meta({ id: "RequestPair" });

export const PairChange = z
  .strictObject({
    state: z.enum(["active", "paused", "revoked"]).describe("a revoked pair stays revoked"),
    mode: z.enum(["polling", "continuous", "on-demand"]),
    interval_s: interval,
    threads: z.array(thread).max(1000).nullable().describe("null: all that consent allows"),
  })
  .partial()
  .meta({ id: "PairChange" });

export const PairingAnswer = z
  .strictObject({ state: z.enum(["none", "establishing", "active"]) })
  .meta({ id: "PairingAnswer" });

const namespace = z.string().min(1).max(256);
const sharedWith = z.union([did, z.literal("*")]).describe("the DID of a pair, or `*` for every pair");

export const NewConsent = z
  .strictObject({ from: namespace.describe("whose threads may cross"), to: sharedWith })
  .meta({ id: "NewConsent" });

export const Consent = z
  .strictObject({ id: hash.describe("the record that granted it"), from: namespace, to: sharedWith })
  .meta({ id: "Consent" });

export const Namespace = z
  .strictObject({ namespace, threads: count, records: count, shared_with: z.array(sharedWith) })
  .meta({ id: "Namespace" });

export const SyncRequest = z
  .strictObject({
    from: z.string().min(1).max(256).optional().describe("a peer's DID, or the beginning of a pair's id"),
    thread: thread.optional().describe("pull this thread alone, whole"),
  })
  .meta({ id: "SyncRequest" });

export const SyncOutcome = z
  .strictObject({
    id: hash.describe("of the pair"),
    peer_did: did,
    pulled: count,
    deduplicated: count.describe("came and were here already"),
    refused: z.record(z.string(), count).describe("by reason"),
    refused_ids: z.array(z.string()).describe("the first few"),
    bytes: count,
    rounds: count.describe("requests to the peer"),
    took_ms: count,
    failure: z
      .strictObject({ code: z.string(), message: z.string(), hint: z.string().nullable() })
      .nullable(),
  })
  .meta({ id: "SyncOutcome" });

const negentropy = z.string().describe("base64url").nullable();

export const DiffStep = z
  .strictObject({
    message: negentropy.describe("of the other side; null to have the first one made"),
    role: z.enum(["initiator", "responder"]),
  })
  .meta({ id: "DiffStep" });

export const DiffStepTaken = z
  .strictObject({
    message: negentropy.describe("for the other side; null when the initiator knows everything"),
    have: z.array(hash).describe("ids that only this instance holds, as far as this step tells"),
    need: z.array(hash).describe("ids that only the other holds"),
  })
  .meta({ id: "DiffStepTaken" });

const time = z.iso.datetime();
const scopes = z.array(z.string()).min(1);
const actors = z.array(did).describe("actors it may speak for; none means any");
const description = z.string().max(1024);

const token = {
  id: z.string().describe("`tok_` and 12 hex: names the token without being it"),
  account: z.string(),
  kind: z.enum(["bearer", "bootstrap"]),
  scopes,
  actors,
  description,
  created_at: time,
  expires_at: time.nullable(),
  last_used_at: time.nullable(),
  state: z.enum(["active", "expired", "revoked", "spent"]),
};

export const Token = z.strictObject(token).meta({ id: "Token" });

export const MintedToken = z
  .strictObject({ ...token, token: z.string().describe("shown this once; only its SHA-256 is kept") })
  .meta({ id: "MintedToken" });

export const NewToken = z
  .strictObject({
    account: z.string(),
    scopes: scopes.optional().describe("makes the account when it does not exist"),
    actors: actors.optional(),
    description: description.optional(),
    expires_at: time.nullable().optional(),
  })
  .meta({ id: "NewToken" });

export const Trade = z
  .strictObject({ token_sha256: hash.describe("of the lasting token, which its holder made and keeps") })
  .meta({ id: "Trade" });

const serviceAccount = {
  name: z.string(),
  kind: z.enum(["service", "local", "bootstrap", "device"]),
  scopes,
  actors,
  description,
  created_at: time.nullable(),
  state: z.enum(["active", "revoked"]),
};

export const ServiceAccount = z.strictObject(serviceAccount).meta({ id: "ServiceAccount" });

export const ServiceAccountDetail = z
  .strictObject({ ...serviceAccount, tokens: z.array(Token) })
  .meta({ id: "ServiceAccountDetail" });

export const NewServiceAccount = z
  .strictObject({
    name: z.string().optional().describe("else operator, only with bootstrap"),
    scopes: scopes.optional(),
    actors: actors.optional(),
    description: description.optional(),
    bootstrap: z
      .boolean()
      .optional()
      .describe("the first account, with all rights; or another from a signed-in device"),
    with_token: z.boolean().optional(),
    expires_at: time.nullable().optional(),
  })
  .meta({ id: "NewServiceAccount" });

export const CreatedServiceAccount = z
  .strictObject({ ...serviceAccount, token: z.string().nullable() })
  .meta({ id: "CreatedServiceAccount" });

export const NewPairing = z
  .strictObject({
    device: z.string().min(1).max(64).describe("what the device is called"),
    scopes: scopes.optional().describe("else by the name: viewer-*, emitter-*, browser-*, or read and write"),
    url: z
      .string()
      .max(2048)
      .optional()
      .describe("where the device reaches this instance, if not at its URL"),
  })
  .meta({ id: "NewPairing" });

export const PairingCode = z
  .strictObject({
    id: z.string(),
    device: z.string(),
    scopes,
    code: z.string().describe("one use, ten minutes"),
    link: z.string().describe("a page that redeems the code, which rides in the fragment"),
    expires_at: time,
  })
  .meta({ id: "PairingCode" });

export const Pairing = z
  .strictObject({
    id: z.string(),
    device: z.string(),
    state: z
      .enum(["waiting", "redeemed", "connected", "expired", "refused", "revoked"])
      .describe(
        "redeemed: a token was handed out; connected: it has been used; refused: too many wrong codes",
      ),
    expires_at: time,
    nonce: z.string().nullable().describe("what the device added; with the code it makes the phrase"),
  })
  .meta({ id: "Pairing" });

export const Redeem = z
  .strictObject({
    code: z.string().max(64),
    nonce: z
      .string()
      .regex(/^[A-Za-z0-9_-]{43}$/, "must be 32 bytes in base64url")
      .describe("32 random bytes of the device, base64url"),
  })
  .meta({ id: "Redeem" });

export const Redeemed = z
  .strictObject({
    token: z.string().describe("shown this once; only its SHA-256 is kept"),
    account: z.string(),
    device: z.string(),
    scopes,
    instance_did: did,
  })
  .meta({ id: "Redeemed" });

export const Device = z
  .strictObject({
    id: hash.describe("the record that began it"),
    device: z.string(),
    scopes,
    state: z
      .enum(["waiting", "redeemed", "connected", "expired", "refused", "revoked", "elsewhere"])
      .describe("elsewhere: it was paired with this identity on another host, and has no token here"),
    account: z.string().nullable(),
    last_used_at: time.nullable(),
  })
  .meta({ id: "Device" });

export const AuditEvent = z
  .strictObject({
    n: count,
    at: time,
    event: z.string(),
    detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  })
  .meta({ id: "AuditEvent" });

export const Backup = z
  .strictObject({
    name: z.string(),
    target: z.string().describe("a folder of the instance's machine, or s3://bucket/prefix"),
    time,
    bytes: count.nullable().describe("null where it lies elsewhere"),
    records: count.nullable(),
    encrypted: z.boolean(),
    verified: z
      .enum(["content", "ciphertext"])
      .nullable()
      .describe("how it was last found sound; null when it never was, or is damaged"),
    read_at: time.nullable().describe("when it was last read whole"),
    damage: z.string().nullable(),
  })
  .meta({ id: "Backup" });

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
    batch: count.nullable().describe("its number, for a rollback; null on a dry run"),
    problem: z
      .string()
      .nullable()
      .describe("why the instance did not come up right, kept on request; null when it did"),
    receipt: ImportReceipt.nullable(),
  })
  .meta({ id: "ImportSummary" });

export const Import = z
  .strictObject({
    n: count,
    at: z.iso.datetime(),
    source_did: did,
    inserted: count,
    digest_before: hash,
    records_before: count,
    did_before: did,
    did_after: did,
    state: z
      .enum(["standing", "undone", "kept"])
      .describe("undone by a rollback; kept: made by an earlier release, without a way back"),
  })
  .meta({ id: "Import", description: "one import, and the instance before it" });

export const NewRollback = z
  .strictObject({
    batch: z
      .int()
      .min(1)
      .nullable()
      .optional()
      .describe("the first import to undo; the last one unless given"),
  })
  .meta({ id: "NewRollback" });

export const Rollback = z
  .strictObject({
    batch: count.describe("the first import that was undone"),
    batches: count.describe("how many were"),
    copy: z
      .string()
      .nullable()
      .describe("path, on the instance's machine, of the bundle of everything as it was"),
    removed: count.describe("records"),
    removed_local: count.describe("of these, those that no import brought"),
    restored: count.describe("records with the envelope again that an import had replaced"),
    records: count,
    digest: hash.describe("proven to be that of before the import"),
    identity: z.enum(["unchanged", "restored"]),
    instance_did: did,
    left_did: did.nullable().describe("the identity that this home gave up"),
  })
  .meta({ id: "Rollback" });

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
