import { fromHex, toHex } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";
import type { Manifest, SignerLine } from "../bundle/types.ts";
import { parseInstanceDid } from "../identity/did.ts";
import { type KeyPair, keyFromSeed } from "../identity/key.ts";
import { repairPointer, retireKey, saveKey } from "../identity/keys_folder.ts";
import type { InsertResult, Reader, Totals, Writer } from "../store/types.ts";
import { closeRevokedDevices } from "./devices.ts";
import { pairWith } from "./federation.ts";
import type { Inspection } from "./inspect.ts";
import { Instance, type Ports, type Signer } from "./instance.ts";
import {
  type Access,
  addAccess,
  type Contents,
  checkExpected,
  insertReceived,
  makeReceipt,
  type Received,
  receiveBundle,
} from "./intake.ts";
import { Spool } from "./spool.ts";
import { highestEpoch, refuseRevoked, requireActive } from "./steward.ts";
import type { Adoption, BundleVerified, ImportOptions, ImportSummary } from "./types.ts";

/** Page cache while a bundle goes in; the same whatever its size. */
const IMPORT_CACHE_KIB = 64 * 1024;

/** Pairs of a bundle, the last ones, that are asked what they know of its identity. */
const MAX_ASKED = 64;

export interface ImportPorts extends Partial<Ports> {
  /** Called when every byte has been checked and before anything is written. */
  onVerified?: (verified: BundleVerified) => void;
  /** Called before the identity of a bundle is adopted: what is known elsewhere of where it lives can be learnt. */
  beforeAdoption?: (adoption: Adoption) => Promise<void>;
}

/**
 * Makes the instance in `home` be the one in the bundle (spec, section 5). The file is checked and spooled
 * while it streams, without holding the write lock; only when everything agrees one transaction inserts all
 * and adopts the identity. Whatever fails before leaves nothing behind.
 * @throws SplError superseded, bundle_malformed, verification_failed, did_mismatch, store_not_empty, disk_full
 */
export async function importBundle(
  home: string,
  input: AsyncIterable<Uint8Array>,
  options: ImportOptions,
  { onVerified, beforeAdoption, ...ports }: ImportPorts = {},
): Promise<ImportSummary> {
  await using open = new AsyncDisposableStack();
  const instance = await Instance.open(home, ports, { bulk: true, cacheKib: IMPORT_CACHE_KIB });
  open.defer(() => instance.close());
  const spool = new Spool(instance.paths.run, instance.ports.random);
  open.defer(() => spool.close());
  const received = await receiveBundle(input, spool, {
    deep: options.deep,
    onManifest: async (manifest) => {
      const { totals, did } = await instance.store.read(async (reader) => {
        const signer = await instance.signer(reader);
        await requireActive(reader, signer);
        return { totals: await reader.totals(), did: signer.did };
      });
      checkExpected(manifest, options.expectDid, "import");
      // A store of another size differs for sure: no need to read on.
      if (totals.records !== manifest.record_count) checkEmpty(totals, options);
      return { foreign: isForeign(manifest, did, options) };
    },
  });
  const { inspection, contents } = received;
  await instance.store.read(async (reader) => {
    await refuseIfDifferent(reader, inspection, options);
    await refuseOtherKeys(reader, contents.signers);
  });
  onVerified?.({
    signature: "valid",
    source_did: inspection.manifest.source_did,
    manifest: inspection.manifest,
  });
  const importing = new Import(instance, options, received);
  const { did } = await instance.store.read((reader) => instance.signer(reader));
  const adoption = importing.adoptionBy(did);
  if (adoption !== null && (!options.dryRun || !(await isPeer(instance, adoption.did))))
    await beforeAdoption?.(adoption);
  if (options.dryRun) return await instance.store.read((reader) => importing.rehearse(reader));
  return await importing.commit();
}

/** What is learnt of a peer is written to its pair, and a dry run writes nothing. */
function isPeer(instance: Instance, did: string): Promise<boolean> {
  return instance.store.read(async (reader) => (await pairWith(instance, reader, did)) !== null);
}

class Import {
  readonly inspection: Inspection;
  readonly contents: Contents;

  constructor(
    readonly instance: Instance,
    readonly options: ImportOptions,
    readonly received: Received,
  ) {
    this.inspection = received.inspection;
    this.contents = received.contents;
  }

  /** The same summary without a write. */
  async rehearse(reader: Reader): Promise<ImportSummary> {
    const signer = await this.instance.signer(reader);
    const after = (await this.#adopted(reader, signer)) ?? signer;
    let deduplicated = 0;
    for (const entries of this.received.spool.groups())
      deduplicated += await reader.known(entries.map((entry) => entry.id));
    const existing = new Set((await reader.accounts()).map((account) => account.name));
    const { accounts, tokens } = this.#brought(after);
    const kept = accounts.map(({ name }) => name).filter((name) => existing.has(name));
    const access = { kept, tokens: tokens.filter(({ account }) => !existing.has(account)).length };
    const inserted = this.inspection.manifest.record_count - deduplicated;
    return this.#summary({ inserted, deduplicated, replaced: 0 }, after, signer, access);
  }

  async commit(): Promise<ImportSummary> {
    const { instance, inspection } = this;
    const { paths } = instance;
    const { summary, before, after } = await instance.store.transact(async (writer) => {
      const totals = await refuseIfDifferent(writer, inspection, this.options);
      const signer = await instance.signer(writer);
      await requireActive(writer, signer);
      const after = (await this.#adopted(writer, signer)) ?? signer;
      await refuseOtherKeys(writer, this.contents.signers);
      const at = instance.ports.clock();
      const { key: _, ...identityBefore } = signer;
      const n = await writer.beginImport({
        at,
        sourceDid: inspection.manifest.source_did,
        recordsRoot: inspection.manifest.records_root,
        digestBefore: totals.digest,
        recordsBefore: totals.records,
        didBefore: signer.did,
        didAfter: after.did,
        seqBefore: totals.seq,
        identityBefore,
      });
      const counts = await this.#insert(writer, totals);
      await writer.endImport(n, counts.inserted);
      const access = await addAccess(writer, this.#brought(after), at, n);
      // On disk before the row that selects it: a crash in between leaves a stray key that start-up retires.
      if (after !== signer) {
        saveKey(paths.keys, after.key);
        await writer.setIdentity(after);
      }
      await closeRevokedDevices(instance, writer);
      const summary = this.#summary(counts, after, signer, access);
      await writer.addAudit(at, "import", {
        source_did: inspection.manifest.source_did,
        inserted: counts.inserted,
        deduplicated: summary.deduplicated,
        identity: summary.identity,
        bundle_sha256: inspection.manifest.bundle_sha256,
        by: this.options.by ?? null,
      });
      const receipt = makeReceipt(after, inspection.manifest, summary, await writer.totals(), at);
      return { summary: { ...summary, batch: n, receipt }, before: signer, after };
    });
    try {
      if (after.fingerprint !== before.fingerprint) {
        repairPointer(paths.keys, after.fingerprint);
        retireKey(paths.keys, before.fingerprint);
      }
      await instance.store.checkpoint();
    } catch {
      // The import is done. This is tidying that the next start repeats; where the disk is full, it has to wait.
    }
    return summary;
  }

  async #insert(writer: Writer, totals: Totals): Promise<InsertResult> {
    const { manifest, digest } = this.inspection;
    if (totals.digest === digest) {
      if ((await recordsRoot(writer)) === manifest.records_root) {
        return { inserted: 0, deduplicated: manifest.record_count, replaced: 0 };
      }
      checkEmpty(totals, this.options);
    }
    return insertReceived(writer, this.received);
  }

  /** Accounts and tokens go with the identity: those of a stranger must not open this instance. */
  #brought(after: Signer): Pick<Contents, "accounts" | "tokens"> {
    return after.did === this.inspection.manifest.source_did ? this.contents : { accounts: [], tokens: [] };
  }

  /** Who an instance that is `did` becomes; null where it stays who it is. */
  adoptionBy(did: string): Adoption | null {
    const { seed } = this.contents;
    const { manifest, folds } = this.inspection;
    if (this.options.keepIdentity || seed === null || manifest.source_did === did) return null;
    const known = folds.pairs.standing().slice(-MAX_ASKED);
    const peers = known.flatMap(({ peer_did, url }) => (url === null ? [] : [{ did: peer_did, url }]));
    return { did: manifest.source_did, seed, peers };
  }

  /** The identity that the bundle brings, or null where this instance stays who it is. @throws SplError superseded */
  async #adopted(reader: Reader, current: Signer): Promise<Signer | null> {
    const adoption = this.adoptionBy(current.did);
    if (adoption === null) return null;
    const { did, seed } = adoption;
    const key: KeyPair = keyFromSeed(seed);
    const { stewardId, url } = current;
    const incoming = { did, stewardId, url, epoch: current.epoch };
    await refuseRevoked(reader, incoming.did);
    return {
      ...incoming,
      name: parseInstanceDid(did)!.name,
      fingerprint: key.fingerprint,
      publicKey: key.publicKey,
      epoch: Math.max(this.instance.ports.clock(), 1 + (await highestEpoch(reader, incoming))),
      key,
    };
  }

  #summary(counts: InsertResult, after: Signer, before: Signer, access: Access): ImportSummary {
    const { manifest, folds } = this.inspection;
    const same = manifest.source_did === before.did;
    return {
      signature: "valid",
      source_did: manifest.source_did,
      inspected: manifest.record_count,
      inserted: counts.inserted,
      deduplicated: counts.deduplicated + counts.replaced,
      refused: 0,
      threads: manifest.thread_count,
      federation_pairs: manifest.federation_pairs,
      consent_grants: manifest.consent_grants,
      identity: after !== before ? "adopted" : same ? "unchanged" : "kept",
      instance_did: after.did,
      accounts_kept: access.kept,
      tokens: access.tokens,
      inert_pairs: after.did === manifest.source_did ? 0 : folds.pairs.standing().length,
      dry_run: this.options.dryRun,
      batch: null,
      problem: null,
      receipt: null,
    };
  }
}

function isForeign(
  { source_did, identity }: Manifest,
  did: string,
  { keepIdentity }: ImportOptions,
): boolean {
  return source_did !== did && (keepIdentity || identity === "none");
}

/** Two keys of one signer would make the next export be refused, since a bundle lists one for each. */
async function refuseOtherKeys(reader: Reader, signers: SignerLine[]): Promise<void> {
  for (const { did, public_key } of signers) {
    const known = await reader.signer(did);
    if (known === null || toHex(known.publicKey) === public_key) continue;
    throw new SplError("verification_failed", `import refused: ${did} has another key here`, {
      hint: "nothing was changed; ask who made the bundle which key is right",
    });
  }
}

function checkEmpty({ records }: Totals, { forceOverwrite }: ImportOptions): void {
  if (records === 0 || forceOverwrite) return;
  throw new SplError(
    "store_not_empty",
    `import refused: local store has ${records} records; pass --force-overwrite to import anyway`,
    { detail: { records } },
  );
}

/** Refuses a store that holds something else, and tells what it holds and its newest sequence number. */
async function refuseIfDifferent(
  reader: Reader,
  { manifest, digest }: Inspection,
  options: ImportOptions,
): Promise<Totals & { seq: number }> {
  const totals = await reader.totals();
  if (totals.records !== manifest.record_count || totals.digest !== digest) checkEmpty(totals, options);
  return { ...totals, seq: await reader.lastSeq() };
}

/** SHA-256, hex, over the raw ids in bundle order: proves what the additive digest only indicates. */
async function recordsRoot(reader: Reader): Promise<string> {
  const hash = sha256.stream();
  for await (const heads of reader.entryHeads()) for (const head of heads) hash.update(fromHex(head.id, 32)!);
  return toHex(hash.digest());
}
