import { equalBytes, fromHex, toHex, utf8 } from "../base/bytes.ts";
import { sha256 } from "../base/sha256.ts";
import { didDocument } from "../identity/did.ts";
import { keyFromSeed, publicKeyPem } from "../identity/key.ts";
import { canonicalBytes } from "../record/canonical.ts";
import type { Entry } from "../record/types.ts";
import { decompress } from "./compression.ts";
import { parseAccounts, parseSigners, parseTokens } from "./lists.ts";
import { malformed } from "./malformed.ts";
import { openManifest } from "./manifest.ts";
import { MemberCursor } from "./member_cursor.ts";
import {
  DID_DOCUMENT,
  MANIFEST,
  MANIFEST_SIGNATURE,
  memberLimit,
  PRIVATE_KEY,
  PUBLIC_KEY,
  SERVICE_ACCOUNTS,
  SIGNERS,
  TOKENS,
} from "./members.ts";
import { GroupReader, type Keyring } from "./read_groups.ts";
import { difference, type MemberObserver, Tally } from "./tally.ts";
import { readTar } from "./tar.ts";
import type { BundleEvent, Manifest, ReadOptions, SignerLine } from "./types.ts";

/**
 * Reads and verifies a bundle in one pass and in the memory of one group, whatever its compression. Each event is
 * verified as far as the members before it allow; nothing may be committed before `end`.
 * @throws SplError bundle_malformed, naming the member; bundle_locked for an encrypted file
 */
export async function* readBundle(
  input: AsyncIterable<Uint8Array>,
  options: ReadOptions = {},
): AsyncGenerator<BundleEvent> {
  const members = new MemberCursor(readTar(decompress(input), memberLimit));
  try {
    yield* verify(members, options);
  } finally {
    await members.close();
  }
}

async function* verify(members: MemberCursor, options: ReadOptions): AsyncGenerator<BundleEvent> {
  const seen: BundleEvent[] = [];
  const observe: MemberObserver = (path, size, hash) => {
    if (options.members) seen.push({ kind: "member", path, size, sha256: hash });
  };
  const tally = new Tally(observe);
  const take = async (path: string): Promise<Uint8Array> => {
    const data = await members.expect(path);
    tally.add(path, data);
    return data;
  };

  const manifestBytes = await members.expect(MANIFEST);
  const signature = await members.expect(MANIFEST_SIGNATURE);
  const { manifest, publicKey } = openManifest(manifestBytes, signature);
  observe(MANIFEST, manifestBytes.length, toHex(sha256.hash(manifestBytes)));
  observe(MANIFEST_SIGNATURE, signature.length, toHex(sha256.hash(signature)));
  yield { kind: "manifest", manifest, manifestBytes, publicKey };

  const document = canonicalBytes(didDocument(manifest.source_did, publicKey));
  if (!equalBytes(await take(DID_DOCUMENT), document)) {
    throw malformed(DID_DOCUMENT, `is not the document of ${manifest.source_did}`);
  }
  if (!equalBytes(await take(PUBLIC_KEY), utf8(publicKeyPem(publicKey)))) {
    throw malformed(PUBLIC_KEY, "is not the manifest's public key");
  }
  const seed = manifest.identity === "none" ? null : openSeed(await take(PRIVATE_KEY), publicKey);
  yield { kind: "identity", seed };

  const signers = parseSigners(await take(SIGNERS), manifest.source_did);
  yield { kind: "signers", signers };

  const accounts = parseAccounts(await take(SERVICE_ACCOUNTS));
  const tokens = manifest.tokens === "none" ? null : parseTokens(await take(TOKENS), accounts);
  yield { kind: "accounts", accounts, tokens };
  yield* seen.splice(0);

  const deep = typeof options.deep === "function" ? options.deep() : options.deep;
  const groups = new GroupReader(members, keyring(manifest, deep ? publicKey : null, signers));
  for (let first = await members.next(); first !== null; first = await members.next()) {
    const group = await groups.read(first);
    tally.addGroup(group, first.data, entrySize);
    if (tally.records > manifest.record_count) {
      throw malformed(MANIFEST, `record_count is ${manifest.record_count}, but there are more records`);
    }
    yield* seen.splice(0);
    yield { kind: "group", thread: group.thread, entries: group.items };
  }
  const found = tally.totals();
  const wrong = difference(found, manifest);
  if (wrong)
    throw malformed(MANIFEST, `${wrong} is ${manifest[wrong]}, but the members give ${found[wrong]}`);
  yield { kind: "end", manifest };
}

const entrySize = (entry: Entry): number => entry.canonical.length;

/** A copy of the seed, once it is that of `publicKey`. */
function openSeed(data: Uint8Array, publicKey: Uint8Array): Uint8Array {
  if (data.length === 32 && equalBytes(keyFromSeed(data).publicKey, publicKey)) return data.slice();
  throw malformed(PRIVATE_KEY, "is not the private key of the manifest's public key");
}

/** @param own the bundle's own key, or null when the manifest's signature vouches for its records */
function keyring(manifest: Manifest, own: Uint8Array | null, signers: SignerLine[]): Keyring {
  const keys = new Map<string, Uint8Array | null>([[manifest.source_did, own]]);
  for (const { did, public_key } of signers) keys.set(did, fromHex(public_key, 32));
  return keys;
}
