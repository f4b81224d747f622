import type { Env } from "../backup/places.ts";
import { toHex } from "../base/bytes.ts";
import { type Clock, isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { homePaths } from "../base/home.ts";
import { sha256 } from "../base/sha256.ts";
import { VERSION } from "../base/version.ts";
import type { AccountLine, Compression } from "../bundle/types.ts";
import type { InstanceClient } from "../client/instance_client.ts";
import { parseInstanceDid } from "../identity/did.ts";
import { loadKey } from "../identity/keys_folder.ts";
import { inspectBundle } from "../instance/inspect.ts";
import { compareContent, compareExports, compareStatus, type Promised, requireSame } from "./compare.ts";
import { type BundleFile, readBack, writeBundle } from "./file.ts";
import { PhaseClock } from "./phase_clock.ts";
import { lockDrills } from "./places.ts";
import { keepReceipt, signReceipt } from "./receipts.ts";
import { Sample } from "./sample.ts";
import { clearScratch, Scratch } from "./scratch.ts";
import { ScratchInstance } from "./scratch_instance.ts";
import type { Phase, PhaseTime, Receipt } from "./types.ts";

/** What is brought back: a running instance, or a bundle that is at hand. */
export type Source =
  | { kind: "instance"; name: string; client: InstanceClient }
  | { kind: "bundle"; name: string; bytes: number; open(): AsyncIterable<Uint8Array> };

export interface DrillOptions {
  env: Env;
  clock: Clock;
  /** Ends the drill; nothing of it is left. */
  signal: AbortSignal;
  /** Leave the scratch folder, with the instance that came back in it. */
  keep: boolean;
  onPhase?: (phase: Phase) => void;
}

export interface DrillResult extends Receipt {
  /** Where the receipt is kept. */
  receipt: string;
  /** The scratch folder, which holds the private key, or null. */
  kept: string | null;
  tear_down_ms: number;
}

/** What a record takes beside its own bytes: envelope, indexes, log. */
const RECORD_OVERHEAD = 512;

/**
 * Brings an instance back in a scratch home that connects to nobody, proves that it is the same, and keeps a receipt
 * that the identity which came back has signed. The live instance is only read from.
 * @throws SplError drill_running; of a phase, which its `detail` names: verification_failed when something differs,
 *   disk_full, unreachable, and what export, verify and import throw
 */
export async function drill(source: Source, options: DrillOptions): Promise<DrillResult> {
  const lock = lockDrills(options.env);
  try {
    clearScratch(options.env);
    const scratch = Scratch.make(options.env, options.keep);
    const phases = new PhaseClock(options);
    let receipt: Receipt;
    try {
      receipt = await new Drill(source, options, scratch, phases).run();
    } catch (error) {
      throw options.keep && error instanceof SplError ? toldWith(scratch, error) : error;
    } finally {
      await phases.time("tear-down", async () => scratch.remove());
    }
    return {
      ...receipt,
      receipt: keepReceipt(options.env, receipt),
      kept: options.keep ? scratch.path : null,
      tear_down_ms: phases.times.at(-1)!.ms,
    };
  } finally {
    lock.release();
  }
}

/** The failure, with where to look. */
function toldWith({ path, home }: Scratch, error: SplError): SplError {
  const look = `what came back is in ${home}, private key included; remove ${path} when you have looked`;
  return error.retold({ hint: error.hint ? `${error.hint}; ${look}` : look, detail: { kept: path } });
}

class Drill {
  constructor(
    readonly source: Source,
    readonly options: DrillOptions,
    readonly scratch: Scratch,
    readonly phases: PhaseClock,
  ) {}

  async run(): Promise<Receipt> {
    const { source, scratch, phases } = this;
    const at = isoTime(this.options.clock());
    const before =
      source.kind === "instance" ? await phases.time("export", () => source.client.status()) : null;
    const file = await this.#fetch();
    const promised = await phases.time("verify", () => this.#verify(file));
    if (before !== null) {
      // Where nobody has written meanwhile the bundle has to hold what the instance says it holds.
      const after = await phases.time("export", () => asked(source).status());
      if (after.digest === before.digest) {
        await phases.time("verify", async () =>
          requireSame("the exported digest", before.digest, promised.digest),
        );
      }
    }
    const instance = await phases.time("boot", async () =>
      ScratchInstance.start(scratch.home, this.options.env),
    );
    const interrupt = () => instance.interrupt();
    this.options.signal.addEventListener("abort", interrupt);
    let receipt: Receipt;
    try {
      receipt = await this.#bringBack(instance, file, promised, at, before?.version ?? null);
      if (before !== null) {
        const { epoch, state } = await phases.time("compare", () => asked(source).status());
        requireSame("the live instance's state", [before.state, before.epoch], [state, epoch]);
      }
    } finally {
      this.options.signal.removeEventListener("abort", interrupt);
      await phases.time("tear-down", () => instance.stop());
    }
    return receipt;
  }

  #fetch(): Promise<BundleFile> {
    const { source, scratch, phases } = this;
    const { signal } = this.options;
    if (source.kind === "bundle") {
      return phases.time("read", async () => {
        scratch.requireSpace(2 * source.bytes);
        return writeBundle(scratch.bundle, source.open(), signal);
      });
    }
    return phases.time("export", async () => {
      const query = { compression: "zst", identity: "included", carry_tokens: false } as const;
      const { chunks } = await source.client.exportBundle(query, signal);
      return writeBundle(scratch.bundle, chunks, signal);
    });
  }

  async #verify(file: BundleFile): Promise<Promised> {
    const { signal } = this.options;
    let accounts: AccountLine[] = [];
    let sample: Sample | null = null;
    let bytes = 0;
    const { manifest, digest, folds } = await inspectBundle(readBack(file), {
      onEvent: (event) => {
        signal.throwIfAborted();
        if (event.kind === "manifest") sample = new Sample(event.manifest);
        if (event.kind === "accounts") accounts = event.accounts;
        if (event.kind !== "group") return;
        for (const { canonical } of event.entries) bytes += canonical.length + RECORD_OVERHEAD;
        sample!.add(event.entries);
      },
    });
    if (manifest.identity !== "included") {
      throw new SplError("key_missing", "the bundle holds no whole instance, which could be brought back", {
        hint: "name one that was exported with its identity",
      });
    }
    sample!.end();
    // What is spooled, and the store that it becomes.
    this.scratch.requireSpace(2 * bytes);
    return { manifest, digest, accounts, folds, sample: sample!.entries };
  }

  async #bringBack(
    instance: ScratchInstance,
    file: BundleFile,
    promised: Promised,
    at: string,
    source_version: string | null,
  ): Promise<Receipt> {
    const { manifest, digest, accounts, sample } = promised;
    const { client } = instance;
    const time = <T>(phase: Phase, work: () => Promise<T>): Promise<T> =>
      this.phases.time(phase, async () => {
        try {
          return await work();
        } catch (error) {
          throw await instance.cause(error);
        }
      });
    await time("boot", () => instance.ready());
    await time("import", async () => {
      const query = { dry_run: false, force_overwrite: false, keep_identity: false, deep: false };
      await client.importBundle(
        readBack(file),
        { ...query, expect_did: manifest.source_did },
        () => undefined,
      );
      await compareStatus(client, promised);
    });
    await time("compare", () => compareContent(client, promised));
    const sameCompressor = file.compression === "none" || source_version === VERSION;
    const same_file = await time("re-export", async () => {
      const fresh = await this.#exportAgain(client, file.compression, manifest.tokens === "carried");
      return compareExports(promised, file.sha256, fresh, sameCompressor);
    });
    const { fingerprint } = parseInstanceDid(manifest.source_did)!;
    const key = await time("compare", async () => loadKey(homePaths(instance.home).keys, fingerprint));
    const phases: PhaseTime[] = this.phases.times.map((time) => ({ ...time }));
    const took = (name: Phase) => phases.find(({ phase }) => phase === name)!.ms;
    return signReceipt(
      {
        did: manifest.source_did,
        public_key: manifest.public_key,
        records: manifest.record_count,
        threads: manifest.thread_count,
        sampled: sample.size,
        accounts: accounts.length,
        federation_pairs: manifest.federation_pairs,
        consent_grants: manifest.consent_grants,
        digest,
        records_root: manifest.records_root,
        bundle_sha256: manifest.bundle_sha256,
        file_sha256: file.sha256,
        same_file,
        source: this.source.name,
        source_version,
        version: VERSION,
        phases,
        recovered_ms: took("boot") + took("import"),
        at,
      },
      key,
    );
  }

  async #exportAgain(client: InstanceClient, compression: Compression, carry_tokens: boolean) {
    const query = { compression, identity: "included", carry_tokens } as const;
    const { manifest, chunks } = await client.exportBundle(query, this.options.signal);
    const hash = sha256.stream();
    for await (const chunk of chunks) hash.update(chunk);
    return { manifest, file_sha256: toHex(hash.digest()) };
  }
}

function asked(source: Source): InstanceClient {
  if (source.kind === "instance") return source.client;
  throw new SplError("internal", "a bundle cannot be asked");
}
