import type { Manifest } from "../api/wire.ts";
import { equalBytes, toBase64Url, toHex } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";
import type { AccountLine } from "../bundle/types.ts";
import type { InstanceClient } from "../client/instance_client.ts";
import type { InstanceFolds } from "../folds/reserved.ts";
import { canonicalBytes, canonicalText } from "../record/canonical.ts";
import type { Entry, Json } from "../record/types.ts";

/** What a bundle promises, as it was read and verified. */
export interface Promised {
  manifest: Manifest;
  digest: string;
  accounts: AccountLine[];
  folds: InstanceFolds;
  sample: Map<string, Entry>;
}

/** @throws SplError verification_failed, which names what is not as it was */
export function requireSame(what: string, promised: Json, found: Json): void {
  if (canonicalText(promised) === canonicalText(found)) return;
  throw new SplError(
    "verification_failed",
    `${what} came back as ${shown(found)}, but the bundle has ${shown(promised)}`,
    { hint: "do not rely on this bundle; spl drill --keep leaves what came back, to look at" },
  );
}

/** Whether the instance has become the one of the bundle. @throws SplError verification_failed */
export async function compareStatus(client: InstanceClient, { manifest, digest }: Promised): Promise<void> {
  const { instance_did, records, threads, digest: found } = await client.status();
  requireSame("the DID", manifest.source_did, instance_did);
  requireSame("the number of records", manifest.record_count, records);
  requireSame("the number of threads", manifest.thread_count, threads);
  requireSame("the digest", digest, found);
}

/** Identity, accounts, pairs, grants, and the sample record by record. @throws SplError verification_failed */
export async function compareContent(client: InstanceClient, promised: Promised): Promise<void> {
  const { manifest, accounts, folds, sample } = promised;
  const { did, public_key } = await client.identity();
  requireSame("the identity", [manifest.source_did, manifest.public_key], [did, public_key]);
  const came = await client.serviceAccounts();
  requireSame(
    "the accounts",
    accounts.map(({ name, scopes, actors }) => [name, scopes, actors]),
    came
      .filter(({ kind, state }) => kind === "service" && state === "active")
      .map(({ name, scopes, actors }) => [name, [...scopes].sort(), [...actors].sort()] as Json)
      .sort((a, b) => ((a as Json[])[0]! < (b as Json[])[0]! ? -1 : 1)),
  );
  const pair = ({ id, peer_did, url, state, mode, interval_s, threads }: PairFacts): Json => [
    id,
    peer_did,
    url,
    state,
    mode,
    interval_s,
    threads,
  ];
  requireSame(
    "the pairs",
    byText(folds.pairs.standing().map(pair)),
    byText((await client.pairs()).filter(({ state }) => state !== "revoked").map(pair)),
  );
  const grant = ({ id, from, to }: { id: string; from: string; to: string }): Json => [id, from, to];
  requireSame(
    "the grants",
    byText(folds.consent.all().map(grant)),
    byText((await client.grants()).map(grant)),
  );
  for (const entry of sample.values()) await compareRecord(client, entry);
}

interface PairFacts {
  id: string;
  peer_did: string;
  url: string | null;
  state: string;
  mode: string;
  interval_s: number;
  threads: string[] | null;
}

async function compareRecord(client: InstanceClient, entry: Entry): Promise<void> {
  const { record, signer, sig } = await client.record(entry.id);
  const { judged_by, ...hashed } = record;
  const same =
    equalBytes(canonicalBytes(hashed as unknown as Json), entry.canonical) &&
    judged_by === entry.judged_by &&
    signer === entry.signer &&
    sig === toBase64Url(entry.sig);
  if (!same) requireSame(`the record ${entry.id}`, "another one", "it is");
}

/** What a new export of the instance is. */
export interface FreshExport {
  manifest: Manifest;
  file_sha256: string;
}

/** @param mustMatch whether the same compressor wrote both files @throws SplError verification_failed */
export function compareExports(
  promised: Promised,
  file_sha256: string,
  fresh: FreshExport,
  mustMatch: boolean,
): boolean {
  requireSame("records_root", promised.manifest.records_root, fresh.manifest.records_root);
  requireSame("bundle_sha256", promised.manifest.bundle_sha256, fresh.manifest.bundle_sha256);
  requireSame("the manifest", promised.manifest as unknown as Json, fresh.manifest as unknown as Json);
  if (mustMatch) requireSame("the exported file", file_sha256, fresh.file_sha256);
  return file_sha256 === fresh.file_sha256;
}

function byText(values: Json[]): Json[] {
  return values.sort((a, b) => (canonicalText(a) < canonicalText(b) ? -1 : 1));
}

function shown(value: Json): string {
  if (Array.isArray(value)) {
    const digest = toHex(sha256.hash(canonicalBytes(value))).slice(0, 12);
    return `a list of ${value.length} (${digest}…)`;
  }
  return typeof value === "object" ? canonicalText(value) : String(value);
}
