import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import fc from "fast-check";
import { gunzipSync } from "fflate";
import type { BundleEvent, BundleSource, Compression } from "../../../lib/bundle/types.ts";
import { writeBundle } from "../../../lib/bundle/write.ts";
import type { Entry } from "../../../lib/record/types.ts";
import {
  alice,
  bob,
  chain,
  entriesOf,
  gather,
  manifestOf,
  read,
  sourceOf,
  unpack,
  write,
} from "../../kit/bundle_kit.ts";
import { outside, TAR_PROGRAMS, zstdCodec } from "../../kit/outside.ts";
import { makeEntry } from "../../kit/records.ts";
import { ScratchFolder } from "../../kit/store.ts";

const ACCOUNTS = [
  { name: "ci", scopes: ["records:read", "records:write"], actors: ["did:sync:user:ci"] },
  { name: "zoë 🦊", scopes: [], actors: [] },
];
const TOKENS = [
  { token_sha256: "0a".repeat(32), account: "ci", description: "", expires_at: null },
  { token_sha256: "ff".repeat(32), account: "zoë 🦊", description: "laptop", expires_at: 1_800_000_000_000 },
];

/** Two threads with a fork, judged and foreign records, and texts beyond ASCII. */
function web(): Entry[] {
  const opening = makeEntry({ body: { goal: "größer 🦊 \u0000 \u2028" } }, { signer: alice });
  const parents = [opening.id];
  return [
    opening,
    makeEntry({ clock: 1, parents, body: { fork: 1 } }, { signer: alice }),
    makeEntry({ clock: 1, parents, body: { fork: 2 } }, { signer: bob }),
    makeEntry({ clock: 2, parents, body: {}, act: "KNOW" }, { signer: bob, judgedBy: opening.id }),
    ...chain(alice, "th_B", 3),
    ...chain(bob, "th__", 2),
  ];
}

/** What an instance would export after importing these events. */
function sourceFrom(events: BundleEvent[], source: BundleSource): BundleSource {
  const signers = events.find((event) => event.kind === "signers")!.signers;
  const { accounts, tokens } = events.find((event) => event.kind === "accounts")!;
  const { manifest } = events.find((event) => event.kind === "manifest")!;
  return {
    ...sourceOf(alice, entriesOf(events)),
    identity: source.identity,
    signers,
    accounts,
    tokens,
    federationPairs: manifest.federation_pairs,
    consentGrants: manifest.consent_grants,
  };
}

const full = () =>
  sourceOf(alice, web(), { accounts: ACCOUNTS, tokens: TOKENS, federationPairs: 1, consentGrants: 3 });

describe("what is written is read", () => {
  test("events come in their order, with everything in them", async () => {
    const events = await read(await write(full(), "zst"));
    expect(events.map((event) => event.kind)).toEqual([
      "manifest",
      "identity",
      "signers",
      "accounts",
      "group",
      "group",
      "group",
      "end",
    ]);
    const { manifest } = events.find((event) => event.kind === "manifest")!;
    expect(manifest).toMatchObject({
      format: "spl-bundle",
      bundle_version: 1,
      source_did: alice.did,
      public_key: alice.key.publicKey.toHex(),
      record_count: 9,
      thread_count: 3,
      federation_pairs: 1,
      consent_grants: 3,
      identity: "included",
      tokens: "carried",
    });
    expect(events).toContainEqual({ kind: "identity", seed: alice.key.seed });
    expect(events).toContainEqual({
      kind: "signers",
      signers: [{ did: bob.did, public_key: bob.key.publicKey.toHex() }],
    });
    expect(events).toContainEqual({ kind: "accounts", accounts: ACCOUNTS, tokens: TOKENS });
    const threads = events.flatMap((event) => (event.kind === "group" ? event.thread : []));
    expect(threads).toEqual(["th_B", "th__", "th_a"]);
    expect(events.at(-1)).toEqual({ kind: "end", manifest });
  });

  test("any set of records, in any batches, chunks and compression, comes back and is written again byte for byte", async () => {
    const pool = web();
    const sets = fc.record({
      entries: fc.subarray(pool),
      batch: fc.integer({ min: 1, max: 10 }),
      chunk: fc.integer({ min: 1, max: 3000 }),
      compression: fc.constantFrom<Compression>("zst", "gz", "none"),
      deep: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(sets, async ({ entries, batch, chunk, compression, deep }) => {
        const source = sourceOf(alice, entries, { batch });
        const file = await write(source, compression);
        const events = await read(file, { deep }, chunk);
        const byId = (a: Entry, b: Entry) => (a.id < b.id ? -1 : 1);
        expect(entriesOf(events).toSorted(byId)).toEqual(entries.toSorted(byId));
        expect(await write(sourceFrom(events, source), compression)).toEqual(file);
      }),
      { numRuns: 40 },
    );
  });

  test("accounts, tokens and counts survive as well", async () => {
    const file = await write(full(), "zst");
    expect(await write(sourceFrom(await read(file), full()), "zst")).toEqual(file);
  });

  test("an empty instance", async () => {
    const events = await read(await write(sourceOf(alice, []), "zst"));
    expect(events.map((event) => event.kind)).toEqual(["manifest", "identity", "signers", "accounts", "end"]);
    expect(manifestOf(await unpack(await write(sourceOf(alice, []))))).toMatchObject({
      record_count: 0,
      thread_count: 0,
      records_root: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    });
  });

  test("on request every member is told with its hash", async () => {
    const file = await write(full());
    const told = (await read(file, { members: true })).filter((event) => event.kind === "member");
    const members = await unpack(file);
    expect(told.map(({ path }) => path).toSorted()).toEqual(members.map(({ path }) => path).toSorted());
    for (const { path, size, sha256 } of told) {
      const { data } = members.find((member) => member.path === path)!;
      expect({ size, sha256 }).toEqual({
        size: data.length,
        sha256: new Bun.CryptoHasher("sha256").update(data).digest("hex"),
      });
    }
  });
});

describe("what is left out", () => {
  test("--no-identity: the private key, nothing else", async () => {
    const paths = async (source: BundleSource) => (await unpack(await write(source))).map(({ path }) => path);
    const without = sourceOf(alice, web(), { accounts: ACCOUNTS, identity: "none" });
    expect(await paths(without)).toEqual(
      (await paths({ ...without, identity: "included" })).filter(
        (path) => path !== "identity/private_key.bin",
      ),
    );
    const file = await write(without);
    expect(Buffer.from(file).includes(Buffer.from(alice.key.seed))).toBe(false);
    expect(await read(file)).toContainEqual({ kind: "identity", seed: null });
  });

  test("the identity alone: no record, and counts of zero", async () => {
    const alone: BundleSource = { ...full(), identity: "only" };
    const events = await read(await write(alone));
    expect(entriesOf(events)).toEqual([]);
    expect(events.at(-1)).toMatchObject({
      manifest: {
        record_count: 0,
        thread_count: 0,
        federation_pairs: 0,
        consent_grants: 0,
        identity: "only",
      },
    });
    expect(events).toContainEqual({ kind: "identity", seed: alice.key.seed });
  });

  test("tokens never travel without the identity", async () => {
    await expect(writeBundle({ ...full(), identity: "none" }, "zst")).rejects.toMatchObject({
      code: "usage",
      hint: "leave out --carry-tokens or --no-identity",
    });
  });
});

describe("a source that breaks its contract", () => {
  const entries = chain(alice, "th_a", 3);

  test("a record whose bytes are not its id's is never written", async () => {
    const damaged = entries.with(1, { ...entries[1]!, canonical: entries[0]!.canonical });
    const { heads } = sourceOf(alice, entries);
    const writing = write({ ...sourceOf(alice, damaged), heads }, "zst");
    await expect(writing).rejects.toMatchObject({ code: "store_damaged" });
    await expect(writing).rejects.toThrow(entries[1]!.id);
  });

  test.each<[string, Entry[]]>([
    ["lost a record", entries.slice(0, 2)],
    ["gained a record", chain(alice, "th_a", 4)],
    ["changed a signature", entries.with(2, { ...entries[2]!, sig: new Uint8Array(64) })],
  ])("a second pass that %s never ends in a whole file", async (_, later) => {
    const { heads } = sourceOf(alice, entries);
    const { chunks } = await writeBundle({ ...sourceOf(alice, later), heads, records: MANY }, "none");
    const seen: Uint8Array[] = [];
    const writing = (async () => {
      for await (const chunk of chunks) seen.push(chunk);
    })();
    await expect(writing).rejects.toThrow("the snapshot changed while it was written");
    await expect(read(Buffer.concat(seen))).rejects.toMatchObject({ code: "bundle_malformed" });
  });

  test("records out of order, lists out of order, the wrong seed", async () => {
    async function* backwards() {
      yield entries.toReversed();
    }
    async function* heads() {
      yield entries.toReversed().map(({ canonical, ...head }) => ({ ...head, size: canonical.length }));
    }
    const source = sourceOf(alice, entries);
    await expect(write({ ...source, heads, entries: backwards })).rejects.toThrow("canonical order");
    await expect(write({ ...source, accounts: ACCOUNTS.toReversed() })).rejects.toThrow("ascending order");
    await expect(write({ ...source, seed: bob.key.seed })).rejects.toThrow("not that of the public key");
    await expect(write({ ...source, did: bob.did })).rejects.toThrow(`not the key of ${bob.did}`);
  });
});

/** Too many records to try one pass. */
const MANY = 1_000_000;

describe("one pass and two passes", () => {
  test.each(["zst", "none", "gz"] as const)("write the same bytes as .%s", async (compression) => {
    for (const source of [full(), large(), sourceOf(alice, [])]) {
      const once = await write(source, compression);
      expect(Buffer.compare(once, await write({ ...source, records: MANY }, compression))).toBe(0);
    }
  });

  test("what does not fit into memory is given up for two passes", async () => {
    const bodies = Array.from({ length: 36 }, (_, clock) => {
      const text = Buffer.alloc(700_000, String(clock)).toString();
      return makeEntry(
        { thread: "th_large", clock, body: { text, more: text.slice(0, 300_000) } },
        { signer: alice },
      );
    });
    const source = sourceOf(alice, bodies);
    let passes = 0;
    const heads = () => {
      passes++;
      return source.heads();
    };
    const file = await write({ ...source, heads }, "none");
    expect(file.length).toBeGreaterThan(32 * 1024 * 1024);
    expect(passes).toBe(1);
    expect((await read(file)).at(-1)).toMatchObject({ kind: "end", manifest: { record_count: 36 } });
    expect(Buffer.compare(file, await write({ ...source, records: MANY }, "none"))).toBe(0);
  });
});

/** More than one frame, and a thread of more than one group. */
const large = () => sourceOf(alice, [...chain(alice, "th_long", 4200), ...chain(alice, "th_short", 2)]);

describe("others read it too", () => {
  test("zstd-codec and fflate decode to the same tar", async () => {
    const tar = await write(large());
    const decode = await zstdCodec();
    const frames = await Array.fromAsync((await writeBundle(large(), "zst")).chunks);
    expect(frames.length).toBeGreaterThan(1);
    expect(Buffer.compare(Buffer.concat(frames.map(decode)), tar)).toBe(0);
    expect(Buffer.compare(gunzipSync(await write(large(), "gz")), tar)).toBe(0);
  });

  test.each(TAR_PROGRAMS)("%s lists it without a warning", async (program) => {
    using folder = new ScratchFolder();
    const paths = (await unpack(await write(full()))).map(({ path }) => path);
    for (const [compression, name] of [
      ["none", "b.tar"],
      ["gz", "b.tar.gz"],
      ["zst", "b.tar.zst"],
    ] as const) {
      writeFileSync(folder.file(name), await write(full(), compression));
      const listed = outside([program, "-tf", folder.file(name)]).toString();
      expect(listed.trimEnd().split("\n")).toEqual(paths);
    }
    expect(outside([program, "-tzf", folder.file("b.tar.gz")]).toString()).toStartWith("manifest.json\n");
  });

  test("FORMAT.md's commands agree: openssl, sha256sum and the two roots", async () => {
    using folder = new ScratchFolder();
    writeFileSync(folder.file("b.tar"), await write(full()));
    const { bundle_sha256, records_root } = manifestOf(await unpack(await write(full())));
    const format = await Bun.file(new URL("../../../lib/bundle/FORMAT.md", import.meta.url)).text();
    const [, script] = /## Checking by hand\n\n```sh\n(.*?)```/s.exec(format)!;
    const commands = script!
      .replaceAll("../migration.tar.zst", "../b.tar")
      .replaceAll("migration.tar.zst", "b.tar");
    const said = outside(["bash", "-euo", "pipefail", "-c", `mkdir out\n${commands}`], { cwd: folder.path });
    expect(said.toString().trim().split("\n")).toEqual([
      "Signature Verified Successfully",
      `${bundle_sha256}  -`,
      `${records_root}  -`,
    ]);
  });
});

describe("one state has one form", () => {
  test("the sizes of the batches make no difference", async () => {
    const [a, b] = [sourceOf(alice, web(), { batch: 1 }), sourceOf(alice, web(), { batch: 100 })];
    for (const compression of ["none", "zst", "gz"] as const) {
      expect(await write(a, compression)).toEqual(await write(b, compression));
    }
    const one = await writeBundle(large(), "zst");
    const two = await writeBundle(large(), "zst");
    expect(one.manifest).toEqual(two.manifest);
    expect(Buffer.compare(await gather(one.chunks), await gather(two.chunks))).toBe(0);
  });

  test("a bundle of this release still has the bytes it had", async () => {
    const { bundle_sha256 } = manifestOf(await unpack(await write(full())));
    expect(bundle_sha256).toBe("fe67fd7a5800b59e8fd1b3ac9dcf22bd0917cf61341b5d8a3722a16193042365");
  });

  test("groups end at 4,096 records or 4 MiB", async () => {
    const groups = (await read(await write(large(), "zst"))).flatMap((event) =>
      event.kind === "group" ? [[event.thread, event.entries.length]] : [],
    );
    expect(groups).toEqual([
      ["th_long", 4096],
      ["th_long", 104],
      ["th_short", 2],
    ]);
    const bodies = [900, 900, 900, 900, 900, 1000, 1000, 10].map((kib) => "x".repeat(kib * 1024));
    const heavy = bodies.map((text, clock) => makeEntry({ clock, body: { text } }, { signer: alice }));
    const sizes = (await read(await write(sourceOf(alice, heavy), "zst"))).flatMap((event) =>
      event.kind === "group" ? [event.entries.length] : [],
    );
    expect(sizes).toEqual([4, 4]);
  });
});
