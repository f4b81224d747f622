import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AtomicFile, clearTemporaries, syncDirectory } from "../base/atomic_file.ts";
import { isoTime } from "../base/clock.ts";
import { fileError, SplError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { nextTurn } from "../base/turn.ts";
import { writeBundle } from "../bundle/write.ts";
import { didTail } from "../identity/did.ts";
import { recallKey, repairPointer, retireKey } from "../identity/keys_folder.ts";
import type { IdentityRow, ImportBatch, Reader, Writer } from "../store/types.ts";
import { bundleSource } from "./export.ts";
import { inspectBundle } from "./inspect.ts";
import { Instance, type Ports, requireIdentity } from "./instance.ts";
import { requireActive } from "./steward.ts";
import type { ImportView, RollbackOptions, RollbackSummary } from "./types.ts";

/** Page cache while everything derived is rebuilt. */
const ROLLBACK_CACHE_KIB = 64 * 1024;

/** A batch whose way back was kept. */
type Undoable = ImportBatch & { identityBefore: IdentityRow };

/** Every import, oldest first. */
export function listImports(instance: Instance): Promise<ImportView[]> {
  return instance.store.read(async (reader) =>
    (await reader.imports()).map((batch) => ({
      n: batch.n,
      at: isoTime(batch.at),
      source_did: batch.sourceDid,
      inserted: batch.inserted,
      digest_before: batch.digestBefore,
      records_before: batch.recordsBefore,
      did_before: batch.didBefore,
      did_after: batch.didAfter,
      state: batch.undoneAt !== null ? "undone" : batch.identityBefore === null ? "kept" : "standing",
    })),
  );
}

/**
 * Takes the instance in `home` back to before an import (spec, section 5). In one transaction everything is saved to a
 * bundle, which is read back (of a damaged store, its file is copied); what came later is removed; the identity of before has its key again; and the digest is
 * proven to be the one that was recorded before the import. Whatever fails before leaves everything as it is.
 * @throws SplError not_found, rollback_refused, superseded, verification_failed, key_missing, disk_full
 */
export async function rollBack(
  home: string,
  options: RollbackOptions,
  ports: Partial<Ports> = {},
): Promise<RollbackSummary> {
  const instance = await Instance.open(home, ports, {
    keyless: true,
    bulk: true,
    cacheKib: ROLLBACK_CACHE_KIB,
  });
  const rollback = new Rollback(instance, options);
  try {
    return await rollback.run();
  } finally {
    await instance.close();
  }
}

class Rollback {
  /** What this rollback has made so far, for when it fails. */
  #copy: string | null = null;
  #recalled: string | null = null;

  constructor(
    readonly instance: Instance,
    readonly options: RollbackOptions,
  ) {}

  async run(): Promise<RollbackSummary> {
    const { store, paths } = this.instance;
    let undone: { from: IdentityRow; to: IdentityRow; summary: RollbackSummary };
    try {
      undone = await store.transact((writer) => this.#undo(writer));
    } catch (error) {
      this.#giveUp();
      throw error;
    }
    const { from, to, summary } = undone;
    try {
      if (from.did !== to.did) {
        repairPointer(paths.keys, to.fingerprint);
        retireKey(paths.keys, from.fingerprint);
      }
      await store.checkpoint();
    } catch {
      // The rollback is done. This is tidying that the next start repeats.
    }
    return summary;
  }

  async #undo(writer: Writer): Promise<{ from: IdentityRow; to: IdentityRow; summary: RollbackSummary }> {
    const { instance, options } = this;
    const identity = await requireIdentity(writer);
    const { batch, undone } = await chosen(writer, options.batch);
    const before = batch.identityBefore;
    const returns = before.did !== identity.did;
    // Going back to another identity is a way out for a home whose adopted one lives elsewhere again.
    if (!returns) await requireActive(writer, identity);
    const totals = await writer.totals();
    const brought = undone.reduce((sum, { inserted }) => sum + inserted, 0);
    const local = totals.records - batch.recordsBefore - brought;
    if (!options.sparing || local > 0) await this.#save(writer, batch, identity);
    if (returns) {
      recallKey(instance.paths.keys, before.fingerprint);
      this.#recalled = before.fingerprint;
      await writer.setIdentity(before);
    }
    const at = instance.ports.clock();
    const { removed, restored } = await writer.rollBack(batch, at);
    const { digest, records } = await writer.totals();
    if (digest !== batch.digestBefore || records !== batch.recordsBefore) {
      throw new SplError(
        "verification_failed",
        `rollback refused: what would be left is not what was there before batch ${batch.n}`,
        {
          hint: "nothing was changed; spl doctor --deep looks for the cause, spl restore makes a home from a backup",
        },
      );
    }
    const facts = {
      batch: batch.n,
      batches: undone.length,
      copy: this.#copy,
      removed,
      removed_local: local,
      restored,
      records,
      digest,
      instance_did: before.did,
      left_did: returns ? identity.did : null,
    };
    await writer.addAudit(at, "rollback", { ...facts, by: options.by ?? null });
    const summary = { ...facts, identity: returns ? ("restored" as const) : ("unchanged" as const) };
    return { from: identity, to: before, summary };
  }

  /**
   * Keeps everything as it is in the folder of copies: as a bundle, or as the store itself where a damaged record keeps a
   * bundle from being made of it.
   */
  async #save(writer: Writer, { n }: ImportBatch, { did }: IdentityRow): Promise<void> {
    const { instance, options } = this;
    const folder = join(options.copies, didTail(did));
    const stamp = isoTime(instance.ports.clock()).replace(/[-:]|\.\d+/g, "");
    const path = join(folder, `before-rollback-${n}-${stamp}`);
    try {
      makeFolder(folder);
      try {
        await this.#saveBundle(writer, `${path}.tar.zst`);
      } catch (error) {
        if (!(error instanceof SplError) || error.code !== "store_damaged") throw error;
        instance.store.copyTo(`${path}.db`);
        this.#copy = `${path}.db`;
      }
    } catch (error) {
      const told = error instanceof SplError ? error : null;
      if (told?.code !== "file_unreadable") throw error;
      throw told.retold({
        hint: "nothing was changed; the copy of what a rollback removes goes there: set XDG_DATA_HOME to another folder",
      });
    }
  }

  /** Writes a bundle, and reads it back. */
  async #saveBundle(writer: Writer, path: string): Promise<void> {
    const source = await bundleSource(this.instance, writer, { identity: "included", carryTokens: false });
    const { manifest, chunks } = await writeBundle(source, "zst");
    const file = new AtomicFile(path);
    try {
      for await (const chunk of chunks) {
        file.write(chunk);
        await nextTurn();
      }
    } catch (error) {
      file.abort();
      throw error;
    }
    file.commit();
    this.#copy = path;
    const read = await inspectBundle(Bun.file(path).stream());
    if (read.manifest.bundle_sha256 === manifest.bundle_sha256) return;
    throw new SplError("verification_failed", `rollback refused: the copy ${path} does not read back`, {
      hint: "nothing was changed; check the disk",
    });
  }

  /** The transaction has changed nothing: neither must this have. */
  #giveUp(): void {
    try {
      if (this.#copy !== null) rmSync(this.#copy, { force: true });
      if (this.#recalled !== null) retireKey(this.instance.paths.keys, this.#recalled);
    } catch {
      // A copy too many does no harm, and the next start retires the key.
    }
  }
}

/** The folder of one identity's copies, private and durable, without what a killed rollback left there. */
function makeFolder(folder: string): void {
  try {
    const made = mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (made !== undefined) syncDirectory(join(made, ".."));
    clearTemporaries(folder);
  } catch (error) {
    throw fileError(error, "make the folder", folder);
  }
}

/** The batch to go back to before, and all that go with it. @throws SplError not_found, rollback_refused */
async function chosen(reader: Reader, n: number | null): Promise<{ batch: Undoable; undone: ImportBatch[] }> {
  const all = await reader.imports();
  const standing = all.filter(({ undoneAt }) => undoneAt === null);
  const last = standing.at(-1);
  if (n === null && !last) {
    throw new SplError("not_found", "there is nothing to roll back: no import stands", {
      hint: "spl rollback list shows all",
    });
  }
  const batch = n === null ? last : all.find((each) => each.n === n);
  if (!batch) {
    throw new SplError("not_found", `there is no batch ${n}: ${counted(all.length, "import")} so far`, {
      hint: "spl rollback list shows all",
    });
  }
  if (batch.undoneAt !== null) {
    throw new SplError("rollback_refused", `batch ${n} was undone already (${isoTime(batch.undoneAt)})`, {
      hint: "spl rollback list shows which stand",
    });
  }
  if (batch.identityBefore === null) {
    throw new SplError(
      "rollback_refused",
      `rollback refused: an earlier release made batch ${batch.n}, and kept no way back from it`,
      { hint: "spl restore FILE --home DIR makes a home from a backup of before" },
    );
  }
  return {
    batch: { ...batch, identityBefore: batch.identityBefore },
    undone: standing.filter((each) => each.n >= batch.n),
  };
}
