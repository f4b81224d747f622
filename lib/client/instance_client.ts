import { BUNDLE_TYPE, MANIFEST_HEADER, NDJSON_TYPE } from "../api/media.ts";
import { fromProblem } from "../api/problem.ts";
import type {
  Actor,
  ActorDetail,
  ActorImportSummary,
  AuditEvent,
  BundleVerified,
  Consent,
  CreatedServiceAccount,
  Device,
  DiffStep,
  DiffStepTaken,
  Emission,
  Emitted,
  EmittedBatch,
  Envelope,
  FeedEntry,
  Identity,
  Import,
  ImportEvent,
  ImportSummary,
  Manifest,
  MintedToken,
  Namespace,
  NewActor,
  NewConsent,
  NewPairing,
  NewServiceAccount,
  NewToken,
  Page,
  Pair,
  PairChange,
  Pairing,
  PairingCode,
  Redeem,
  Redeemed,
  RevokedIdentity,
  Rollback,
  ServiceAccount,
  ServiceAccountDetail,
  Status,
  SyncOutcome,
  ThreadDetail,
  ThreadSummary,
  Token,
  Trust,
} from "../api/wire.ts";
import { SplError } from "../base/errors.ts";
import { textLines } from "../base/lines.ts";
import { HttpClient } from "./http.ts";
import type { Target } from "./target.ts";

export interface ExportQuery {
  compression: "zst" | "gz" | "none";
  identity: "included" | "none" | "only";
  carry_tokens: boolean;
}

export interface ImportQuery {
  dry_run: boolean;
  force_overwrite: boolean;
  keep_identity: boolean;
  expect_did?: string | undefined;
  deep: boolean;
  no_auto_rollback?: boolean;
}

export interface ActorImportQuery {
  dry_run: boolean;
  merge: boolean;
  trust_discount?: number | undefined;
  /** Who registers the actor. */
  by: string;
}

/** Typed calls to one instance. Each throws SplError: unreachable, or what the instance refused and why. */
export class InstanceClient {
  readonly #http: HttpClient;

  constructor(readonly target: Target) {
    this.#http = new HttpClient(target);
  }

  status(): Promise<Status> {
    return this.#http.getJson("/v1/status");
  }

  identity(): Promise<Identity> {
    return this.#http.getJson("/v1/identity");
  }

  /** Ends the instance's identity, which must be `did`, for ever. */
  revokeIdentity(did: string): Promise<RevokedIdentity> {
    return this.#http.postJson("/v1/identity/revoke", { did });
  }

  pairs(): Promise<Pair[]> {
    return this.#http.getJson("/v1/federation/pairs");
  }

  /** @param name an ID, the beginning of one, or the peer's DID; in the following calls as well */
  pair(name: string): Promise<Pair> {
    return this.#http.getJson(pairPath(name));
  }

  requestPair(url: string): Promise<Pair> {
    return this.#http.postJson("/v1/federation/pairs", { url });
  }

  changePair(name: string, change: PairChange): Promise<Pair> {
    return this.#http.postJson(pairPath(name), change);
  }

  /** `follow` asks the other side whether it has approved. */
  operatePair(name: string, verb: "approve" | "reject" | "follow" | "refresh"): Promise<Pair> {
    return this.#http.requestJson(`${pairPath(name)}/${verb}`, { method: "POST" });
  }

  grants(): Promise<Consent[]> {
    return this.#http.getJson("/v1/consent");
  }

  grantConsent(grant: NewConsent): Promise<Consent> {
    return this.#http.postJson("/v1/consent", grant);
  }

  /** @param id or the beginning of it */
  revokeConsent(id: string): Promise<Consent> {
    return this.#http.requestJson(`/v1/consent/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  namespaces(): Promise<Namespace[]> {
    return this.#http.getJson("/v1/namespaces");
  }

  /** Pulls from peers; an outcome for each as it ends. */
  async *sync(query: { from?: string; thread?: string }): AsyncGenerator<SyncOutcome> {
    const response = await this.#http.request("/v1/federation/sync", {
      method: "POST",
      json: query,
      accept: NDJSON_TYPE,
    });
    for await (const line of textLines(intact(response, "the outcome")))
      yield JSON.parse(line) as SyncOutcome;
  }

  /** One step in comparing all records with those of another instance. */
  reconcile(step: DiffStep): Promise<DiffStepTaken> {
    return this.#http.postJson("/v1/reconcile", step);
  }

  /** The token that signs this client in; a bootstrap token is not used up by it. */
  ownToken(): Promise<Token> {
    return this.#http.getJson("/v1/token");
  }

  /** Trades the bootstrap token that this client shows for the one with this hash, lowercase hex. */
  tradeToken(token_sha256: string): Promise<Token> {
    return this.#http.postJson("/v1/token/trade", { token_sha256 });
  }

  tokens(): Promise<Token[]> {
    return this.#http.getJson("/v1/tokens");
  }

  token(id: string): Promise<Token> {
    return this.#http.getJson(`/v1/tokens/${encodeURIComponent(id)}`);
  }

  mintToken(token: NewToken): Promise<MintedToken> {
    return this.#http.postJson("/v1/tokens", token);
  }

  mintBootstrap(): Promise<MintedToken> {
    return this.#http.requestJson("/v1/bootstrap-tokens", { method: "POST" });
  }

  rotateToken(id: string): Promise<MintedToken> {
    return this.#http.requestJson(`/v1/tokens/${encodeURIComponent(id)}/rotate`, { method: "POST" });
  }

  revokeToken(id: string): Promise<Token> {
    return this.#http.requestJson(`/v1/tokens/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  serviceAccounts(): Promise<ServiceAccount[]> {
    return this.#http.getJson("/v1/service-accounts");
  }

  serviceAccount(name: string): Promise<ServiceAccountDetail> {
    return this.#http.getJson(`/v1/service-accounts/${encodeURIComponent(name)}`);
  }

  createServiceAccount(account: NewServiceAccount): Promise<CreatedServiceAccount> {
    return this.#http.postJson("/v1/service-accounts", account);
  }

  /** Takes these scopes from an account; null closes it with all its tokens. */
  revokeServiceAccount(name: string, scopes: readonly string[] | null): Promise<ServiceAccount> {
    const path = `/v1/service-accounts/${encodeURIComponent(name)}`;
    return this.#http.requestJson(path, { method: "DELETE", query: { scopes: scopes?.join() } });
  }

  /** What happened to the instance, oldest first. @param since ISO 8601: leave out what is older */
  audit(since: string | undefined): AsyncGenerator<AuditEvent> {
    return this.#pages("/v1/audit", { since });
  }

  devices(): Promise<Device[]> {
    return this.#http.getJson("/v1/devices");
  }

  revokeDevice(device: string): Promise<Device> {
    return this.#http.requestJson(`/v1/devices/${encodeURIComponent(device)}`, { method: "DELETE" });
  }

  startPairing(pairing: NewPairing): Promise<PairingCode> {
    return this.#http.postJson("/v1/devices/pairings", pairing);
  }

  pairing(id: string): Promise<Pairing> {
    return this.#http.getJson(`/v1/devices/pairings/${encodeURIComponent(id)}`);
  }

  redeem(redeem: Redeem): Promise<Redeemed> {
    return this.#http.postJson("/v1/devices/redeem", redeem);
  }

  threads(): AsyncGenerator<ThreadSummary> {
    return this.#pages("/v1/threads");
  }

  thread(thread: string): Promise<ThreadDetail> {
    return this.#http.getJson(`/v1/threads/${encodeURIComponent(thread)}`);
  }

  actors(): AsyncGenerator<Actor> {
    return this.#pages("/v1/actors");
  }

  registerActor(actor: NewActor): Promise<Emitted> {
    return this.#http.postJson("/v1/actors", actor);
  }

  actor(actor: string): Promise<ActorDetail> {
    return this.#http.getJson(`/v1/actors/${encodeURIComponent(actor)}`);
  }

  /** The actor as a file, whole, as it arrives. */
  async exportActor(
    actor: string,
    query: { memories: boolean },
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const path = `/v1/actors/${encodeURIComponent(actor)}/export`;
    const response = await this.#http.request(path, {
      query,
      accept: NDJSON_TYPE,
      ...(signal && { signal }),
    });
    return intact(response, "the actor");
  }

  importActor(file: AsyncIterable<Uint8Array>, query: ActorImportQuery): Promise<ActorImportSummary> {
    const body = { type: NDJSON_TYPE, stream: file };
    return this.#http.requestJson("/v1/actors/import", { method: "POST", query: { ...query }, body });
  }

  trust(query: { actor?: string | undefined; domain?: string | undefined }): Promise<Trust[]> {
    return this.#http.getJson("/v1/trust", query);
  }

  record(id: string): Promise<Envelope> {
    return this.#http.getJson(`/v1/records/${encodeURIComponent(id)}`);
  }

  emit(emission: Emission): Promise<Emitted> {
    return this.#http.postJson("/v1/records", emission);
  }

  /** Emits NDJSON lines in constant memory. `actor` speaks where a line names none. */
  async emitLines(lines: AsyncIterable<Uint8Array>, actor: string): Promise<EmittedBatch> {
    const body = { type: NDJSON_TYPE, stream: lines };
    return this.#http.requestJson("/v1/records", { method: "POST", query: { actor }, body });
  }

  /** A thread in canonical order: the bytes of canonical NDJSON, whole, as they arrive. */
  async threadRecords(thread: string): Promise<AsyncIterable<Uint8Array>> {
    const path = `/v1/threads/${encodeURIComponent(thread)}/records`;
    const response = await this.#http.request(path, { accept: NDJSON_TYPE });
    return intact(response, "the listing");
  }

  /** Records in the order of their arrival behind `after`, then those to come, until the instance stops. */
  async *follow(query: { thread?: string; after: number }, signal: AbortSignal): AsyncGenerator<FeedEntry> {
    const response = await this.#http.request("/v1/records", {
      query: { ...query, follow: true },
      accept: NDJSON_TYPE,
      signal,
    });
    for await (const line of textLines(intact(response, "the stream"))) yield JSON.parse(line) as FeedEntry;
  }

  /** The manifest is known before the first byte of the bundle arrives. */
  async exportBundle(
    query: ExportQuery,
    signal?: AbortSignal,
  ): Promise<{ manifest: Manifest; chunks: AsyncIterable<Uint8Array> }> {
    const response = await this.#http.request("/v1/export", {
      query: { ...query },
      accept: BUNDLE_TYPE,
      ...(signal && { signal }),
    });
    const header = response.headers.get(MANIFEST_HEADER);
    if (header === null) {
      throw new SplError("unreachable", `${this.target.url} did not send a manifest`, {
        hint: "upgrade that instance",
      });
    }
    const manifest = JSON.parse(Buffer.from(header, "base64url").toString()) as Manifest;
    return { manifest, chunks: intact(response, "the bundle") };
  }

  /** @param onVerified called when the instance has checked the whole file and before it writes */
  async importBundle(
    bundle: AsyncIterable<Uint8Array>,
    query: ImportQuery,
    onVerified: (verified: BundleVerified) => void | Promise<void>,
  ): Promise<ImportSummary> {
    const response = await this.#http.request("/v1/import", {
      method: "POST",
      query: { ...query },
      accept: NDJSON_TYPE,
      body: { type: BUNDLE_TYPE, stream: bundle },
    });
    for await (const line of textLines(intact(response, "the import's answer"))) {
      const event = JSON.parse(line) as ImportEvent;
      if (event.event === "problem") throw fromProblem(event.problem)!;
      if (event.event === "verified") {
        const { event: _, ...verified } = event;
        await onVerified(verified);
      } else {
        const { event: _, ...summary } = event;
        return summary;
      }
    }
    throw new SplError("unreachable", "the instance went away before it said how the import ended", {
      hint: "spl status shows what it holds now; importing again is safe",
    });
  }

  /** Oldest first. */
  imports(): Promise<Import[]> {
    return this.#http.getJson("/v1/imports");
  }

  /** Takes the instance back to before an import; null for the last one. */
  rollBack(batch: number | null): Promise<Rollback> {
    return this.#http.postJson("/v1/rollback", { batch });
  }

  async *#pages<T>(path: string, query: { since?: string | undefined } = {}): AsyncGenerator<T> {
    for (let after: string | undefined; ; ) {
      const { items, next } = await this.#http.getJson<Page<T>>(path, { ...query, after });
      yield* items;
      if (next === null) return;
      after = next;
    }
  }
}

/** The body of an answer; a connection that breaks on the way is an error, never an early end. */
async function* intact(response: Response, what: string): AsyncGenerator<Uint8Array> {
  try {
    if (response.body) yield* response.body;
  } catch (cause) {
    if (cause instanceof Error && cause.name === "AbortError") throw cause;
    throw new SplError("unreachable", `the connection broke before ${what} was complete`, {
      hint: "run the same command again",
      cause,
    });
  }
}

function pairPath(name: string): string {
  return `/v1/federation/pairs/${encodeURIComponent(name)}`;
}
