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

/** Most bytes of a finished body that are kept in memory. */
const HELD_BYTES = 32 * 1024 * 1024;
/** Instances with more records are not worth the attempt: their body would hardly fit. */
const HELD_RECORDS = 200_000;

/**
 * Writes a bundle. The signed manifest comes first and tells of everything behind it, so an instance is read in two
 * passes over one snapshot: the first counts and hashes, the second streams. Where the finished body fits into 32 MiB
 * of memory, one pass does both. The same source gives the same bytes either way.
 * @throws SplError usage (tokens without identity), store_damaged (a record's bytes are not those of its id), internal
 *   or bundle_malformed (the source breaks its contract). While the chunks are read, and before the last one:
 *   store_damaged, internal (the second pass differs from the first)
 */
export async function writeBundle(source: BundleSource, compression: Compression): Promise<WrittenBundle> {
  const key = keyFromSeed(source.seed);
  if (!equalBytes(key.publicKey, source.publicKey)) {
    throw new SplError("internal", "the seed is not that of the public key");
  }
  const fixed = fixedMembers(source);
  const held = await holdBody(source, fixed, compression);
  const manifest = describe(source, held?.totals ?? (await takeStock(source, fixed)));
  const data = encodeManifest(manifest);
  const signature = key.sign(data);
  openManifest(data, signature);
  const head = layOutHead([
    { path: MANIFEST, data },
    { path: MANIFEST_SIGNATURE, data: signature },
    ...fixed,
  ]);
  if (held) return { manifest, chunks: joined(compress(head, compression), held.chunks) };

  const tar = new TarWriter();
  const body = layOutBody(tar, source, tallyOf(fixed), (totals) => requireSame(totals, manifest));
  const release = (block: Uint8Array) => tar.recycle(block);
  // A gzip file is one stream; zstd frames and plain tar can be put together.
  const chunks =
    compression === "gz"
      ? compress(joined(head, body), compression)
      : joined(compress(head, compression), compress(body, compression, release));
  return { manifest, chunks };
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

interface HeldBody {
  totals: Totals;
  chunks: Uint8Array[];
}

/** The body in its finished form, with what the manifest says of it; null where that would be too much to hold. */
async function holdBody(
  source: BundleSource,
  fixed: Member[],
  compression: Compression,
): Promise<HeldBody | null> {
  if (compression === "gz" || source.records > HELD_RECORDS) return null;
  const tar = new TarWriter();
  let totals: Totals | undefined;
  const body = layOutBody(tar, source, tallyOf(fixed), (found) => {
    totals = found;
  });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of compress(body, compression, (block) => tar.recycle(block))) {
    size += chunk.length;
    if (size > HELD_BYTES) return null;
    chunks.push(chunk);
  }
  return { totals: totals!, chunks };
}

/** The first of two passes. */
async function takeStock(source: BundleSource, fixed: Member[]): Promise<Totals> {
  const tally = tallyOf(fixed);
  const heads = source.identity === "only" ? none() : source.heads();
  for await (const group of groups(heads, headSize)) {
    tally.addGroup(group, encodeSignatures(group.items), headSize);
  }
  return tally.totals();
}

function tallyOf(fixed: Member[]): Tally {
  const tally = new Tally();
  for (const { path, data } of fixed) tally.add(path, data);
  return tally;
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

/** Everything before the first group, as tar in blocks of at most `FRAME_BYTES`. */
async function* layOutHead(members: Member[]): AsyncGenerator<Uint8Array> {
  const tar = new TarWriter();
  for (const { path, data } of members) tar.add(path, data);
  yield* tar.cut();
}

/**
 * The groups and the end marker, as tar in blocks of `FRAME_BYTES`.
 * @param complete told of everything that was laid out, before the last block
 */
async function* layOutBody(
  tar: TarWriter,
  source: BundleSource,
  tally: Tally,
  complete: (totals: Totals) => void,
): AsyncGenerator<Uint8Array> {
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
  complete(tally.totals());
  yield* tar.finish();
}

function requireSame(totals: Totals, manifest: Manifest): void {
  const changed = difference(totals, manifest);
  if (changed === null) return;
  throw new SplError("internal", `the snapshot changed while it was written: ${changed} differs`);
}

async function* joined(...parts: (AsyncIterable<Uint8Array> | Uint8Array[])[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield* part;
}

const headSize = (head: EntryHead): number => head.size;
const entrySize = (entry: Entry): number => entry.canonical.length;

async function* none(): AsyncGenerator<never> {}

function damaged(entry: Entry): SplError {
  return new SplError("store_damaged", `record ${entry.id} of ${entry.thread} does not hash to its id`, {
    hint: "run spl doctor --deep, then move the home away and spl restore a bundle",
  });
}
