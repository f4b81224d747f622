import { rmSync } from "node:fs";
import { basename } from "node:path";
import { SplError } from "../base/errors.ts";
import { exists } from "../base/exists.ts";
import { type HomePaths, homePaths } from "../base/home.ts";
import { namesIn } from "../base/names_in.ts";
import { peek } from "../bundle/pipeline.ts";
import type { Manifest } from "../bundle/types.ts";
import { instanceDid, parseInstanceDid } from "../identity/did.ts";
import { generateKey, keyFromSeed } from "../identity/key.ts";
import { retireStrays } from "../identity/keys_folder.ts";
import type { InsertResult, Totals, Writer } from "../store/types.ts";
import { problemOf } from "./health.ts";
import { clearLeftovers, holdsUnfinished, lostStore, makeHome } from "./home.ts";
import { makeStore, newIdentity, type Ports, type Signer, systemPorts } from "./instance.ts";
import {
  addAccess,
  checkExpected,
  insertReceived,
  makeReceipt,
  type Received,
  receiveBundle,
} from "./intake.ts";
import { HomeLock } from "./lock.ts";
import { Spool } from "./spool.ts";
import type { BundleVerified, RestoreSummary } from "./types.ts";

export interface RestoreOptions {
  /** Refuse a bundle of any other DID. */
  expectDid: string | null;
  /** Check each of the identity's own signatures as well. */
  deep: boolean;
  /** Make a new identity, also where the bundle has a private key; its records come along, its accounts do not. */
  newIdentity: boolean;
}

export interface RestorePorts extends Partial<Ports> {
  /** Called when every byte has been checked and before anything is written. */
  onVerified?: (verified: BundleVerified) => void;
}

/**
 * Makes a home from a bundle, without a daemon (spec, section 11). The store gets its name last, when all is in it:
 * until then, whatever fails or is killed, no instance is there and the same restore can be run again. The epoch is that
 * of an adoption, so that the restored home outranks the one it was backed up from.
 * @throws SplError store_not_empty when an instance, or a key, is there; file_exists when something else is; identity_missing when the bundle has no private
 *   key; bundle_malformed, verification_failed, did_mismatch, disk_full
 */
export async function restoreBundle(
  home: string,
  input: AsyncIterable<Uint8Array>,
  options: RestoreOptions,
  { onVerified, ...given }: RestorePorts = {},
): Promise<RestoreSummary> {
  const ports = { ...systemPorts, ...given };
  const paths = homePaths(home);
  refuseInstance(paths);
  refuseStrange(paths);
  // A passphrase may be asked for here, and nothing is made before it is known.
  const { all } = await peek(input, 1);
  const isNew = !exists(home);
  makeHome(paths);
  let lock: HomeLock | null = null;
  try {
    lock = HomeLock.tryTake(paths);
    if (!lock) {
      throw new SplError("daemon_running", `another spl is using ${home}`, {
        hint: "wait for it to end and try again",
      });
    }
    // What was not there before the bundle was waited for may have been made since.
    refuseInstance(paths);
    clear(paths);
    const summary = await new Restore(paths, ports, options, onVerified).run(all);
    const problem = await problemOf(home, summary.receipt!, ports);
    if (problem === null) return summary;
    for (const file of [paths.db, `${paths.db}-wal`, `${paths.db}-shm`]) rmSync(file, { force: true });
    throw new SplError("verification_failed", `the restored home does not come up right: ${problem}`, {
      hint: "nothing was kept; check memory and disk",
    });
  } catch (error) {
    // Another one's home is left alone; so is what is complete.
    if (lock && !exists(paths.db)) giveUp(paths, isNew);
    throw error;
  } finally {
    lock?.release();
  }
}

class Restore {
  constructor(
    readonly paths: HomePaths,
    readonly ports: Ports,
    readonly options: RestoreOptions,
    readonly onVerified: RestorePorts["onVerified"],
  ) {}

  async run(input: AsyncIterable<Uint8Array>): Promise<RestoreSummary> {
    const { paths, ports, options } = this;
    const spool = new Spool(paths.run, ports.random);
    try {
      const received = await receiveBundle(input, spool, {
        deep: options.deep,
        onManifest: (manifest) => {
          checkExpected(manifest, options.expectDid, "restore");
          if (manifest.identity === "none") refuseKeyless(manifest, options);
          return { foreign: manifest.identity === "none" || options.newIdentity };
        },
      });
      const { manifest } = received.inspection;
      this.onVerified?.({ signature: "valid", source_did: manifest.source_did, manifest });
      return await this.#make(received);
    } finally {
      spool.close();
    }
  }

  async #make(received: Received): Promise<RestoreSummary> {
    const signer = this.#signer(received);
    let summary: RestoreSummary | null = null;
    await makeStore(this.paths, signer.key, this.ports.random, async (writer) => {
      summary = await this.#fill(writer, received, signer);
    });
    return summary!;
  }

  #signer({ inspection: { manifest }, contents: { seed } }: Received): Signer {
    const { name } = parseInstanceDid(manifest.source_did)!;
    const isNew = seed === null || this.options.newIdentity;
    const key = isNew ? generateKey(this.ports.random) : keyFromSeed(seed);
    const did = isNew ? instanceDid(name, key.publicKey) : manifest.source_did;
    return { ...newIdentity(did, name, key, this.ports), key };
  }

  async #fill(writer: Writer, received: Received, signer: Signer): Promise<RestoreSummary> {
    const { inspection, contents } = received;
    const { manifest } = inspection;
    const at = this.ports.clock();
    await writer.setIdentity(signer);
    const counts = await insertReceived(writer, received);
    const own = signer.did === manifest.source_did;
    const access = await addAccess(writer, own ? contents : { accounts: [], tokens: [] }, at, null);
    const totals = await writer.totals();
    refuseOther(totals, received);
    const { bundle_sha256 } = manifest;
    await writer.addAudit(at, "restore", {
      source_did: manifest.source_did,
      inserted: counts.inserted,
      bundle_sha256,
    });
    return {
      ...summaryOf(received, signer, counts),
      identity: own ? "adopted" : "created",
      accounts_kept: access.kept,
      tokens: access.tokens,
      receipt: makeReceipt(signer, manifest, counts, totals, at),
    };
  }
}

function summaryOf(
  { inspection: { manifest, folds } }: Received,
  { did }: Signer,
  { inserted, deduplicated, replaced }: InsertResult,
): Omit<RestoreSummary, "identity" | "accounts_kept" | "tokens" | "receipt"> {
  return {
    signature: "valid",
    source_did: manifest.source_did,
    inspected: manifest.record_count,
    inserted,
    deduplicated: deduplicated + replaced,
    refused: 0,
    threads: manifest.thread_count,
    federation_pairs: manifest.federation_pairs,
    consent_grants: manifest.consent_grants,
    instance_did: did,
    inert_pairs: did === manifest.source_did ? 0 : folds.pairs.standing().length,
    dry_run: false,
    batch: null,
    problem: null,
  };
}

/** What went in must be what was checked. */
function refuseOther({ records, digest }: Totals, { inspection }: Received): void {
  if (records === inspection.manifest.record_count && digest === inspection.digest) return;
  throw new SplError("verification_failed", "what was written is not what the bundle holds", {
    hint: "nothing was kept; check memory and disk",
  });
}

function refuseKeyless({ source_did }: Manifest, { newIdentity }: RestoreOptions): void {
  if (newIdentity) return;
  throw new SplError(
    "identity_missing",
    `restore refused: the bundle was written with --no-identity, so nothing here could be ${source_did}`,
    {
      hint: "use a bundle that has the private key, or pass --new-identity for a new one that holds these records",
    },
  );
}

function refuseInstance(paths: HomePaths): void {
  if (exists(paths.db)) {
    throw new SplError("store_not_empty", `restore refused: there is an instance at ${paths.home} already`, {
      hint: "name another folder with --home, or move that one away; spl import brings a bundle into an instance that is there",
    });
  }
  const lost = lostStore(paths);
  if (lost) throw new SplError("store_not_empty", `restore refused: ${lost.message}`, { hint: lost.hint! });
}

/** A mistyped folder must not become a home, which is closed to everyone else. What any new volume holds is no matter. */
function refuseStrange({ home, keys, run, logs, config }: HomePaths): void {
  const parts = [keys, run, logs, config].map((path) => basename(path));
  const names = entriesOf(home).filter((name) => name !== "lost+found");
  if (names.length === 0 || names.some((name) => parts.includes(name))) return;
  throw new SplError("file_exists", `restore refused: ${home} holds something else (${names[0]})`, {
    hint: "name a folder that is new or empty with --home",
  });
}

function entriesOf(folder: string): string[] {
  return exists(folder) ? namesIn(folder) : [];
}

/** Removes what a restore left that was killed: its store never got its name, so the key has signed nothing here. */
function clear(paths: HomePaths): void {
  if (holdsUnfinished(paths)) retireStrays(paths.keys, null);
  clearLeftovers(paths);
}

function giveUp(paths: HomePaths, isNew: boolean): void {
  try {
    if (isNew) rmSync(paths.home, { recursive: true, force: true });
    else {
      retireStrays(paths.keys, null);
      clearLeftovers(paths);
    }
  } catch {
    // What stays is no instance, and the next attempt clears it.
  }
}
