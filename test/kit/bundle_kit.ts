import { utf8 } from "../../lib/base/bytes.ts";
import { SplError } from "../../lib/base/errors.ts";
import { compareThreads } from "../../lib/bundle/groups.ts";
import { encodeManifest } from "../../lib/bundle/manifest.ts";
import { MANIFEST, MANIFEST_SIGNATURE, memberLimit, recordPath } from "../../lib/bundle/members.ts";
import { readBundle } from "../../lib/bundle/read.ts";
import { Tally } from "../../lib/bundle/tally.ts";
import { encodeHeader, type Member, readTar } from "../../lib/bundle/tar.ts";
import type {
  BundleEvent,
  BundleSource,
  Compression,
  Manifest,
  ReadOptions,
} from "../../lib/bundle/types.ts";
import { writeBundle } from "../../lib/bundle/write.ts";
import type { Entry } from "../../lib/record/types.ts";
import { makeEntry, type TestSigner, testSigner } from "./records.ts";

/** Small bundles for tests: made from records in memory, taken apart into members, changed and put together again. */

export const alice = testSigner(1, "alice");
export const bob = testSigner(2, "bob");

/** A thread of `n` records of `by`, each the child of the one before. */
export function chain(by: TestSigner, thread: string, n: number, text = "step"): Entry[] {
  const entries: Entry[] = [];
  for (let clock = 0; clock < n; clock++) {
    const parents = entries.slice(-1).map(({ id }) => id);
    const fields = { thread, clock, parents, body: { text: `${text} ${clock}` } };
    entries.push(makeEntry(fields, { signer: by }));
  }
  return entries;
}

/** A source of `entries` in batches of `batch`; it puts them in order and lists their foreign signers. */
export function sourceOf(
  owner: TestSigner,
  entries: Entry[],
  more: Partial<BundleSource> & { batch?: number; others?: TestSigner[] } = {},
): BundleSource {
  const { batch = 1000, others = [bob], ...rest } = more;
  const sorted = entries.toSorted(compareThreads);
  const used = others.filter(({ did }) => sorted.some((each) => each.signer === did));
  async function* batches() {
    for (let at = 0; at < sorted.length; at += batch) yield sorted.slice(at, at + batch);
  }
  return {
    did: owner.did,
    publicKey: owner.key.publicKey,
    seed: owner.key.seed,
    identity: "included",
    signers: used.map(({ did, key }) => ({ did, public_key: key.publicKey.toHex() })),
    accounts: [],
    tokens: null,
    federationPairs: 0,
    consentGrants: 0,
    records: sorted.length,
    async *heads() {
      for await (const each of batches()) {
        yield each.map(({ canonical, ...head }) => ({ ...head, size: canonical.length }));
      }
    },
    entries: batches,
    ...rest,
  };
}

export async function* chunked(bytes: Uint8Array, size = bytes.length): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(Buffer.concat(await Array.fromAsync(chunks)));
}

export async function write(source: BundleSource, compression: Compression = "none"): Promise<Uint8Array> {
  return gather((await writeBundle(source, compression)).chunks);
}

export function read(file: Uint8Array, options: ReadOptions = {}, chunk?: number): Promise<BundleEvent[]> {
  return Array.fromAsync(readBundle(chunked(file, chunk), options));
}

/** The records that reading yields. */
export function entriesOf(events: BundleEvent[]): Entry[] {
  return events.flatMap((event) => (event.kind === "group" ? event.entries : []));
}

export async function unpack(tar: Uint8Array): Promise<Member[]> {
  return (await Array.fromAsync(readTar(chunked(tar), memberLimit))).flat();
}

/** Members as a tar that only its headers' rules bind: any path, any order. */
export function pack(members: Member[]): Uint8Array {
  const parts = members.flatMap(({ path, data }) => [
    encodeHeader(path, data.length),
    data,
    new Uint8Array(-data.length & 511),
  ]);
  return new Uint8Array(Buffer.concat([...parts, new Uint8Array(1024)]));
}

export function manifestOf(members: Member[]): Manifest {
  const { data } = members.find(({ path }) => path === MANIFEST)!;
  return JSON.parse(new TextDecoder().decode(data)) as Manifest;
}

/**
 * Signs members as their author would after a change: `bundle_sha256` follows from them, `change` has the last
 * word on the manifest's fields.
 */
export function resign(members: Member[], by: TestSigner, change: object = {}): Member[] {
  const rest = members.filter(({ path }) => path !== MANIFEST && path !== MANIFEST_SIGNATURE);
  const tally = new Tally();
  for (const { path, data } of rest) tally.add(path, data);
  const { bundle_sha256 } = tally.totals();
  const data = encodeManifest({ ...manifestOf(members), bundle_sha256, ...change });
  return [{ path: MANIFEST, data }, { path: MANIFEST_SIGNATURE, data: by.key.sign(data) }, ...rest];
}

/** The same members with the content of `path` replaced. */
export function replaced(members: Member[], path: string, content: string | Uint8Array): Member[] {
  const data = typeof content === "string" ? utf8(content) : content;
  return members.map((member) => (member.path === path ? { path, data } : member));
}

/** What a reader says to these members, behind `bundle malformed: `; `read` when it takes them. */
export async function verdict(members: Member[], options: ReadOptions = {}): Promise<string> {
  try {
    await read(pack(members), options);
    return "read";
  } catch (error) {
    if (!(error instanceof SplError) || error.code !== "bundle_malformed") throw error;
    return error.message.replace(/^bundle malformed: /, "");
  }
}

/** Where a record lies in a bundle. */
export function pathOf({ thread, id }: Pick<Entry, "thread" | "id">): string {
  return recordPath(thread, id);
}

export function textOf(members: Member[], path: string): string {
  return Buffer.from(members.find((member) => member.path === path)!.data).toString();
}

export const MALLORY = testSigner(66, "mallory");
export const byAlice = chain(alice, "th_a", 3);
export const byBob = chain(bob, "th_b", 2);

/** The members of a good bundle with everything in it, for tests that change one thing. */
export async function victim(): Promise<Member[]> {
  const accounts = [{ name: "ci", scopes: ["records:read"], actors: [] }];
  const tokens = [{ token_sha256: "0a".repeat(32), account: "ci", description: "", expires_at: null }];
  return unpack(await write(sourceOf(alice, [...byAlice, ...byBob], { accounts, tokens })));
}
