import { equalBytes, toHex, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { didDocument } from "../identity/did.ts";
import { keyFromSeed, publicKeyPem } from "../identity/key.ts";
import { canonicalBytes } from "../record/canonical.ts";
import { recordId } from "../record/id.ts";
import type { Entry, EntryHead } from "../record/types.ts";
import { compress } from "./compression.ts";
import { encodeSignatures, groups } from "./groups.ts";
import { encodeList, parseAccounts, parseSigners, parseTokens } from "./lists.ts";
import { encodeManifest, openManifest } from "./manifest.ts";
import {
  DID_DOCUMENT,
  MANIFEST,
  MANIFEST_SIGNATURE,
  memberLimit,
  PRIVATE_KEY,
  PUBLIC_KEY,
  recordPath,
  SERVICE_ACCOUNTS,
  SIGNERS,
  signaturesPath,
  TOKENS,
} from "./members.ts";
import { difference, Tally, type Totals } from "./tally.ts";
import { type Member, TarWriter } from "./tar.ts";
import {
  BUNDLE_FORMAT,
  BUNDLE_VERSION,
  type BundleSource,
  type Compression,
  type Manifest,
  type WrittenBundle,
} from "./types.ts";

/**
 * Writes a bundle in two passes over one snapshot: the first counts and hashes, so that the signed manifest can
 * come first; the second streams. The same source gives the same bytes.
 * @throws SplError usage (tokens without identity), internal or bundle_malformed (the source breaks its contract).
 *   While the chunks are read: store_damaged (a record's bytes are not those of its id), internal (the second pass
 *   differs from the first); both before the last chunk
 */
export async function writeBundle(source: BundleSource, compression: Compression): Promise<WrittenBundle> {
  const key = keyFromSeed(source.seed);
  if (!equalBytes(key.publicKey, source.publicKey)) {
    throw new SplError("internal", "the seed is not that of the public key");
  }
  const fixed = fixedMembers(source);
  const manifest = describe(source, await takeStock(source, fixed));
  const data = encodeManifest(manifest);
  const signature = key.sign(data);
  openManifest(data, signature);
  const members = [{ path: MANIFEST, data }, { path: MANIFEST_SIGNATURE, data: signature }, ...fixed];
  const tar = new TarWriter();
  const blocks = layOut(tar, source, manifest, members);
  return { manifest, chunks: compress(blocks, compression, (block) => tar.recycle(block)) };
}

/** The members between `manifest.sig` and the first group, checked as a reader will check them. */
function fixedMembers(source: BundleSource): Member[] {
  const { did, publicKey, seed, identity } = source;
  if (source.tokens !== null && identity === "none") {
    throw new SplError("usage", "tokens cannot be carried without the identity", {
      hint: "leave out --carry-tokens or --no-identity",
    });
  }
  const members: Member[] = [
    { path: DID_DOCUMENT, data: canonicalBytes(didDocument(did, publicKey)) },
    { path: PUBLIC_KEY, data: utf8(publicKeyPem(publicKey)) },
  ];
  if (identity !== "none") members.push({ path: PRIVATE_KEY, data: seed });
  const signers = encodeList(source.signers);
  parseSigners(signers, did);
  const accounts = encodeList(source.accounts);
  parseAccounts(accounts);
  members.push({ path: SIGNERS, data: signers }, { path: SERVICE_ACCOUNTS, data: accounts });
  if (source.tokens !== null) {
    const tokens = encodeList(source.tokens);
    parseTokens(tokens, source.accounts);
    members.push({ path: TOKENS, data: tokens });
  }
  const large = members.find(({ path, data }) => data.length > memberLimit(path)!);
  if (large) throw new SplError("internal", `${large.path} would be too large to be read again`);
  return members;
}

/** The first pass. */
async function takeStock(source: BundleSource, fixed: Member[]): Promise<Totals> {
  const tally = new Tally();
  for (const { path, data } of fixed) tally.add(path, data);
  const heads = source.identity === "only" ? none() : source.heads();
  for await (const group of groups(heads, headSize)) {
    tally.addGroup(group, encodeSignatures(group.items), headSize);
  }
  return tally.totals();
}

function describe(source: BundleSource, totals: Totals): Manifest {
  const alone = source.identity === "only";
  return {
    format: BUNDLE_FORMAT,
    bundle_version: BUNDLE_VERSION,
    source_did: source.did,
    public_key: toHex(source.publicKey),
    federation_pairs: alone ? 0 : source.federationPairs,
    consent_grants: alone ? 0 : source.consentGrants,
    identity: source.identity,
    tokens: source.tokens === null ? "none" : "carried",
    ...totals,
  };
}

/** The second pass: the tar, in blocks of `FRAME_BYTES`. */
async function* layOut(
  tar: TarWriter,
  source: BundleSource,
  manifest: Manifest,
  members: Member[],
): AsyncGenerator<Uint8Array> {
  const tally = new Tally();
  for (const { path, data } of members) {
    tar.add(path, data);
    if (path !== MANIFEST && path !== MANIFEST_SIGNATURE) tally.add(path, data);
    yield* tar.take();
  }
  const entries = source.identity === "only" ? none() : source.entries();
  for await (const group of groups(entries, entrySize)) {
    const signatures = encodeSignatures(group.items);
    tar.add(signaturesPath(group.thread, group.k), signatures);
    for (const entry of group.items) {
      if (recordId(entry.canonical) !== entry.id) throw damaged(entry);
      tar.add(recordPath(group.thread, entry.id), entry.canonical);
    }
    tally.addGroup(group, signatures, entrySize);
    yield* tar.take();
  }
  const changed = difference(tally.totals(), manifest);
  if (changed)
    throw new SplError("internal", `the snapshot changed while it was written: ${changed} differs`);
  yield* tar.finish();
}

const headSize = (head: EntryHead): number => head.size;
const entrySize = (entry: Entry): number => entry.canonical.length;

async function* none(): AsyncGenerator<never> {}

function damaged(entry: Entry): SplError {
  return new SplError("store_damaged", `record ${entry.id} of ${entry.thread} does not hash to its id`, {
    hint: "run 'spl doctor', and restore the last good bundle",
  });
}
