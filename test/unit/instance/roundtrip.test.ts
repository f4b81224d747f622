import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { instanceDid } from "../../../lib/identity/did.ts";
import { emit } from "../../../lib/instance/emit.ts";
import { showIdentity } from "../../../lib/instance/identity.ts";
import { Instance, initInstance } from "../../../lib/instance/instance.ts";
import { OWNER } from "../../../lib/instance/scopes.ts";
import { status } from "../../../lib/instance/status.ts";
import { mintToken } from "../../../lib/instance/tokens.ts";
import { sourceOf, write } from "../../kit/bundle_kit.ts";
import { ALICE, emission, exported, fill, imported, newInstance } from "../../kit/instances.ts";
import { ScratchFolder } from "../../kit/store.ts";

async function statusOf(home: string) {
  const instance = await Instance.open(home);
  try {
    return await status(instance);
  } finally {
    await instance.close();
  }
}

function keyFiles(home: string) {
  return readdirSync(join(home, "keys"), { recursive: true }).map(String).sort();
}

describe("a move", () => {
  test("makes the destination be the source: same DID, digest and bytes", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    const b = await newInstance(folder, "b");
    await fill(a, 50);
    const bundle = await exported(folder.file("a"));
    const before = await status(b);
    const verified: string[] = [];
    const summary = await imported(
      folder.file("b"),
      bundle,
      {},
      { onVerified: (v) => verified.push(v.source_did) },
    );
    const [source, moved] = [await status(a), await status(b)];
    expect(summary).toMatchObject({
      inspected: 50,
      inserted: 50,
      deduplicated: 0,
      refused: 0,
      threads: 3,
      identity: "adopted",
      instance_did: source.instance_did,
    });
    expect(verified).toEqual([source.instance_did]);
    expect({ ...moved, epoch: 0 }).toEqual({ ...source, epoch: 0 });
    expect(moved.epoch).toBeGreaterThan(before.epoch);
    expect(await exported(folder.file("b"))).toEqual(bundle);
    await Promise.all([a.close(), b.close()]);
  });

  test("takes effect in an instance that is open, and records it writes are the new identity's", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    const b = await newInstance(folder, "b");
    await fill(a, 3);
    await imported(folder.file("b"), await exported(folder.file("a")));
    await emit(b, [emission()], { actor: ALICE });
    const { did } = await showIdentity(a);
    expect((await showIdentity(b)).did).toBe(did);
    const signers = await b.store.read(async (reader) => (await Array.fromAsync(reader.signers())).flat());
    expect(signers.map((signer) => signer.did)).toEqual([did]);
    await Promise.all([a.close(), b.close()]);
  });

  test("retires the key that was there and points to the new one", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    const b = await newInstance(folder, "b");
    const old = (await showIdentity(b)).did.slice(-40);
    const fresh = (await showIdentity(a)).did.slice(-40);
    await imported(folder.file("b"), await exported(folder.file("a")));
    expect(keyFiles(folder.file("b"))).toEqual(
      [`${fresh}.key`, "instance.key", "retired", `retired/${old}.key`].sort(),
    );
    expect(readlinkSync(join(folder.file("b"), "keys", "instance.key"))).toBe(`${fresh}.key`);
    await Promise.all([a.close(), b.close()]);
  });

  test("to another name of the same key keeps the key where it is used", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    const { key } = await a.store.read((reader) => a.signer(reader));
    const renamed = { key, did: instanceDid("renamed", key.publicKey) };
    const summary = await imported(folder.file("a"), await write(sourceOf(renamed, [])));
    expect(summary).toMatchObject({ identity: "adopted", instance_did: renamed.did });
    await a.close();
    const again = await Instance.open(folder.file("a"));
    expect((await showIdentity(again)).did).toBe(renamed.did);
    await again.close();
  });

  test("a second import inserts nothing, and the way back ends where it began", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    const b = await newInstance(folder, "b");
    await fill(a, 20);
    const bundle = await exported(folder.file("a"));
    await imported(folder.file("b"), bundle);
    expect(await imported(folder.file("b"), bundle)).toMatchObject({
      inserted: 0,
      deduplicated: 20,
      identity: "unchanged",
    });
    await initInstance(folder.file("c"));
    await imported(folder.file("c"), await exported(folder.file("b")));
    expect(await exported(folder.file("c"))).toEqual(bundle);
    await Promise.all([a.close(), b.close()]);
  });

  test("accounts travel, tokens only when they are carried, and an account that exists stays as it is", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    const b = await newInstance(folder, "b");
    await mintToken(a, { account: "ci", scopes: ["records:write"] }, OWNER);
    await mintToken(a, { account: "web", scopes: ["admin"] }, OWNER);
    await mintToken(b, { account: "web", scopes: ["records:read"] }, OWNER);
    const summary = await imported(folder.file("b"), await exported(folder.file("a"), { carryTokens: true }));
    expect(summary).toMatchObject({ accounts_kept: ["web"], tokens: 1 });
    const accounts = await b.store.read((reader) => reader.accounts());
    expect(accounts.map(({ name, scopes }) => [name, ...scopes])).toEqual([
      ["ci", "records:write"],
      ["web", "records:read"],
    ]);
    const owners = await b.store.read(async (reader) =>
      (await reader.tokens()).map((token) => token.account).sort(),
    );
    expect(owners).toEqual(["ci", "web"]);
    await Promise.all([a.close(), b.close()]);
  });
});

describe("what an import refuses", () => {
  test("a store that holds something else, until it is told to unite", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    const b = await newInstance(folder, "b");
    await fill(a, 6);
    await emit(b, [emission({ thread: "th_own" })], { actor: ALICE });
    const bundle = await exported(folder.file("a"));
    const before = await status(b);
    await expect(imported(folder.file("b"), bundle)).rejects.toMatchObject({
      code: "store_not_empty",
      message: "import refused: local store has 1 records; pass --force-overwrite to import anyway",
    });
    expect(await status(b)).toEqual(before);
    expect(await imported(folder.file("b"), bundle, { forceOverwrite: true })).toMatchObject({ inserted: 6 });
    expect(await status(b)).toMatchObject({ records: 7, threads: 4 });
    await Promise.all([a.close(), b.close()]);
  });

  test("a bundle of another DID than expected", async () => {
    using folder = new ScratchFolder();
    await (await newInstance(folder, "a")).close();
    await (await newInstance(folder, "b")).close();
    const { instance_did } = await statusOf(folder.file("b"));
    await expect(
      imported(folder.file("b"), await exported(folder.file("a")), { expectDid: instance_did }),
    ).rejects.toMatchObject({ code: "did_mismatch" });
    expect((await statusOf(folder.file("b"))).instance_did).toBe(instance_did);
  });

  test("damage at the very end: nothing has changed, and nothing is left behind", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    await fill(a, 30);
    await a.close();
    await initInstance(folder.file("b"));
    const bundle = await exported(folder.file("a"), { compression: "none" });
    const before = { status: await statusOf(folder.file("b")), keys: keyFiles(folder.file("b")) };
    await expect(imported(folder.file("b"), bundle.subarray(0, -512))).rejects.toMatchObject({
      code: "bundle_malformed",
    });
    expect({ status: await statusOf(folder.file("b")), keys: keyFiles(folder.file("b")) }).toEqual(before);
    expect(readdirSync(join(folder.file("b"), "run"))).toEqual([]);
  });

  test("an instance whose key is gone: an error, never a new identity", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    const { instance_did } = await status(a);
    await a.close();
    const key = join(folder.file("a"), "keys", `${instance_did.slice(-40)}.key`);
    await Bun.file(key).delete();
    await expect(Instance.open(folder.file("a"))).rejects.toMatchObject({ code: "key_missing" });
    await expect(initInstance(folder.file("a"))).rejects.toMatchObject({ code: "conflict" });
    expect(existsSync(key)).toBe(false);
  });
});

describe("other ways to import", () => {
  test("a dry run tells the same and writes nothing", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    await fill(a, 10);
    await initInstance(folder.file("b"));
    const bundle = await exported(folder.file("a"));
    const before = await statusOf(folder.file("b"));
    const rehearsed = await imported(folder.file("b"), bundle, { dryRun: true });
    expect(await statusOf(folder.file("b"))).toEqual(before);
    const done = await imported(folder.file("b"), bundle);
    expect({ ...rehearsed, dry_run: false }).toEqual({ ...done, batch: null, receipt: null });
    await a.close();
  });

  test("--keep-identity takes the records only and names pairs that have no effect", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    const pair = { topic: "pair", peer_did: "did:sync:instance:x", url: "https://x.example" };
    await emit(a, [emission({ thread: "th_federation_pairs", act: "LEARN", body: pair })], { actor: ALICE });
    await initInstance(folder.file("b"));
    const { instance_did } = await statusOf(folder.file("b"));
    const summary = await imported(folder.file("b"), await exported(folder.file("a")), {
      keepIdentity: true,
    });
    expect(summary).toMatchObject({
      federation_pairs: 1,
      inert_pairs: 1,
      identity: "kept",
      instance_did,
    });
    expect((await statusOf(folder.file("b"))).instance_did).toBe(instance_did);
    await a.close();
  });

  test("a bundle without identity leaves the instance who it is; a bundle with nothing else moves only it", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    await fill(a, 4);
    await initInstance(folder.file("b"));
    await initInstance(folder.file("c"));
    const bare = await imported(folder.file("b"), await exported(folder.file("a"), { identity: "none" }));
    expect(bare).toMatchObject({ inserted: 4, identity: "kept" });
    const only = await imported(folder.file("c"), await exported(folder.file("a"), { identity: "only" }));
    expect(only).toMatchObject({ inspected: 0, inserted: 0, identity: "adopted" });
    expect((await statusOf(folder.file("c"))).records).toBe(0);
    await a.close();
  });
});

test("what a crash left is put right at the next start: stray keys retired, pointer repaired, spools gone", async () => {
  using folder = new ScratchFolder();
  const a = await newInstance(folder, "a");
  const { did } = await showIdentity(a);
  const keys = join(folder.file("a"), "keys");
  const run = join(folder.file("a"), "run");
  const stray = "ab".repeat(20);
  await Bun.write(join(keys, `${stray}.key`), new Uint8Array(32));
  await Bun.file(join(keys, "instance.key")).delete();
  await Bun.write(join(run, "import-00.spool"), "half");
  await a.mend();
  expect(keyFiles(folder.file("a"))).toEqual(
    [`${did.slice(-40)}.key`, "instance.key", "retired", `retired/${stray}.key`].sort(),
  );
  expect(readdirSync(run)).toEqual([]);
  await a.close();
});
