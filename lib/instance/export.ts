import { toHex } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import type { AccountLine, BundleSource, Manifest, TokenLine, WrittenBundle } from "../bundle/types.ts";
import { writeBundle } from "../bundle/write.ts";
import type { ConnectionOptions } from "../store/connection.ts";
import type { Reader } from "../store/types.ts";
import { Instance, type Ports } from "./instance.ts";
import { foldReserved } from "./reserved.ts";
import { collect } from "./threads.ts";
import type { ExportOptions } from "./types.ts";

export interface Export extends WrittenBundle {
  /** Ends the snapshot. To be called when `chunks` has ended or is not wanted any more. */
  close(): Promise<void>;
}

/**
 * Writes the whole instance as one bundle, from one snapshot and over a connection of its own. Nothing is
 * yielded before the first pass is complete, so the manifest is known up front.
 */
export async function exportBundle(
  home: string,
  options: ExportOptions,
  ports: Partial<Ports> = {},
  opening: Pick<ConnectionOptions, "onMigrated"> = {},
): Promise<Export> {
  const instance = await Instance.open(home, ports, opening);
  const ended = Promise.withResolvers<void>();
  const started = Promise.withResolvers<WrittenBundle>();
  const reading = instance.store
    .read(async (reader) => {
      const source = await bundleSource(instance, reader, options);
      started.resolve(await writeBundle(source, options.compression));
      await ended.promise;
    })
    .catch(started.reject);
  const close = async () => {
    ended.resolve();
    await reading;
    await instance.close();
  };
  try {
    const written = await started.promise;
    await audit(instance, written.manifest, options.by ?? null);
    return { ...written, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function audit({ store, ports }: Instance, manifest: Manifest, by: string | null): Promise<void> {
  const { source_did: did, record_count: records, identity, tokens, bundle_sha256 } = manifest;
  const row = { did, records, identity, tokens, bundle_sha256, by };
  try {
    await store.transact((writer) => writer.addAudit(ports.clock(), "export", row));
  } catch (error) {
    // Taking the instance elsewhere is what a full disk calls for: an export must not fail for want of this row, nor
    // because a long import holds the lock.
    if (!(error instanceof SplError && ["disk_full", "store_busy"].includes(error.code))) throw error;
  }
}

/** What a bundle of the whole instance is written from; good as long as the snapshot of `reader`. */
export async function bundleSource(
  instance: Instance,
  reader: Reader,
  { identity, carryTokens }: Pick<ExportOptions, "identity" | "carryTokens">,
): Promise<BundleSource> {
  const bare = identity === "only";
  if (bare && carryTokens) {
    throw new SplError("usage", "tokens cannot be carried without their accounts", {
      hint: "leave out --carry-tokens or --identity-only",
    });
  }
  const { did, publicKey, key } = await instance.signer(reader);
  const folds = await foldReserved(instance, reader);
  const signers = bare ? [] : await collect(reader.signers());
  const accounts = (await reader.accounts()).filter(
    ({ kind, revokedAt }) => kind === "service" && revokedAt === null,
  );
  const names = new Set(accounts.map((account) => account.name));
  return {
    did,
    publicKey,
    seed: key.seed,
    identity,
    signers: signers
      .filter((signer) => signer.did !== did)
      .map((signer) => ({ did: signer.did, public_key: toHex(signer.publicKey) })),
    accounts: bare ? [] : accounts.map(({ name, scopes, actors }): AccountLine => ({ name, scopes, actors })),
    tokens: carryTokens
      ? (await reader.tokens())
          .filter(
            ({ account, kind, revokedAt }) => names.has(account) && kind === "bearer" && revokedAt === null,
          )
          .map(
            ({ hash, account, description, expiresAt }): TokenLine => ({
              token_sha256: toHex(hash),
              account,
              description,
              expires_at: expiresAt,
            }),
          )
      : null,
    records: bare ? 0 : (await reader.totals()).records,
    federationPairs: bare ? 0 : folds.pairs.unrevoked,
    consentGrants: bare ? 0 : folds.consent.all().length,
    heads: bare ? nothing : () => reader.entryHeads(),
    entries: bare ? nothing : () => reader.entries(),
  };
}

async function* nothing(): AsyncGenerator<never> {}
