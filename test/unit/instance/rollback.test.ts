import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { homePaths } from "../../../lib/base/home.ts";
import { listAccounts, revokeAccount } from "../../../lib/instance/accounts.ts";
import { emit } from "../../../lib/instance/emit.ts";
import { inspectBundle } from "../../../lib/instance/inspect.ts";
import { Instance, initInstance } from "../../../lib/instance/instance.ts";
import { listImports, rollBack } from "../../../lib/instance/rollback.ts";
import { OWNER } from "../../../lib/instance/scopes.ts";
import { createAccount } from "../../../lib/instance/service_accounts.ts";
import { status } from "../../../lib/instance/status.ts";
import { noteStatement, ownStatement } from "../../../lib/instance/steward.ts";
import type { ImportOptions, RollbackOptions } from "../../../lib/instance/types.ts";
import { ALICE, emission, exported, fill, imported, newInstance } from "../../kit/instances.ts";
import { makeEntry, testSigner } from "../../kit/records.ts";
import { ScratchFolder } from "../../kit/store.ts";

/** What is told of an instance that a rollback has to bring back. */
async function stateOf(instance: Instance) {
  const { instance_did, epoch, records, threads, forks, digest } = await status(instance);
  const threadRows = await instance.store.read((reader) => Array.fromAsync(reader.threads()));
  const actors = await instance.store.read((reader) => Array.fromAsync(reader.actors()));
  const signers = await instance.store.read((reader) => Array.fromAsync(reader.signers()));
  const accounts = await listAccounts(instance);
  return { instance_did, epoch, records, threads, forks, digest, threadRows, actors, signers, accounts };
}

/** Emits `n` records that no other instance has. */
function write(instance: Instance, n: number) {
  const lines = Array.from({ length: n }, (_, i) =>
    emission({ thread: "th_0", body: { text: `own ${i} ${crypto.randomUUID()}` } }),
  );
  return emit(instance, lines, { actor: ALICE });
}

/** An instance with records of its own, and the bundle of another one that has an account. */
async function scene(folder: ScratchFolder) {
  const source = await newInstance(folder, "source");
  await fill(source, 20);
  await createAccount(source, { name: "ci", scopes: ["records:read"], description: "" }, {}, OWNER);
  const bundle = await exported(folder.file("source"), { carryTokens: true });
  await source.close();
  const home = folder.file("home");
  const instance = await newInstance(folder, "home");
  await write(instance, 5);
  const take = (options: Partial<ImportOptions> = {}) =>
    imported(home, bundle, { forceOverwrite: true, ...options });
  const undo = (options: Partial<RollbackOptions> = {}) =>
    rollBack(home, { batch: null, copies: folder.file("copies"), ...options });
  return { home, instance, take, undo, paths: homePaths(home), copies: folder.file("copies") };
}

test("an adoption is taken back whole: records, accounts, identity, key; everything is in a private copy", async () => {
  using folder = new ScratchFolder();
  const { home, instance, take, undo, paths } = await scene(folder);
  const before = await stateOf(instance);
  expect(await take()).toMatchObject({ identity: "adopted", batch: 1 });
  await write(instance, 3);
  const between = await stateOf(instance);
  expect(between.accounts).toMatchObject([{ name: "ci" }]);

  const done = await undo();
  expect(done).toMatchObject({
    batch: 1,
    batches: 1,
    removed: 23,
    removed_local: 3,
    restored: 0,
    records: 5,
    digest: before.digest,
    identity: "restored",
    instance_did: before.instance_did,
    left_did: between.instance_did,
  });
  expect(await stateOf(instance)).toEqual(before);
  const key = `${before.instance_did.slice(-40)}.key`;
  expect(readdirSync(paths.keys).sort()).toEqual([key, "instance.key", "retired"].sort());
  expect(readdirSync(join(paths.keys, "retired"))).toEqual([`${between.instance_did.slice(-40)}.key`]);
  expect(statSync(done.copy!).mode & 0o777).toBe(0o600);
  const { manifest, digest } = await inspectBundle(Bun.file(done.copy!).stream());
  expect([manifest.source_did, manifest.record_count, digest]).toEqual([
    between.instance_did,
    between.records,
    between.digest,
  ]);
  expect(await listImports(instance)).toMatchObject([{ n: 1, inserted: 20, state: "undone" }]);

  // It works on, and the copy leads back to where it was.
  await write(instance, 1);
  const again = await imported(home, readFileSync(done.copy!), { forceOverwrite: true });
  expect(again).toMatchObject({ identity: "adopted", inserted: 23, batch: 2 });
  expect(await stateOf(instance)).toMatchObject({ instance_did: between.instance_did, records: 29 });
  await instance.close();
});

test("several imports go together, up to the one that is named; numbers are not given again", async () => {
  using folder = new ScratchFolder();
  const { instance, take, undo } = await scene(folder);
  await take({ keepIdentity: true });
  const first = await stateOf(instance);
  await take();
  await take();
  expect(await undo({ batch: 2 })).toMatchObject({ batch: 2, batches: 2, records: 25, identity: "restored" });
  expect(await stateOf(instance)).toEqual(first);
  expect(await take()).toMatchObject({ batch: 4 });
  await instance.close();
});

test("an envelope that an import replaced is put back, also after a later one replaced it once more", async () => {
  using folder = new ScratchFolder();
  const home = folder.file("home");
  await initInstance(home);
  const instance = await Instance.open(home);
  const signers = [1, 2, 3].map((n) => testSigner(n)).sort((a, b) => (a.did < b.did ? 1 : -1));
  const envelopes = signers.map((signer) => makeEntry({ body: { text: "of all three" } }, { signer }));
  const takeIn = (n: number, batch: boolean) =>
    instance.store.transact(async (writer) => {
      const { key: _, ...identityBefore } = await instance.signer(writer);
      const { digest, records } = await writer.totals();
      const { did } = identityBefore;
      const facts = { at: 1, sourceDid: did, recordsRoot: "", didBefore: did, didAfter: did, identityBefore };
      const before = { digestBefore: digest, recordsBefore: records, seqBefore: await writer.lastSeq() };
      if (batch) await writer.beginImport({ ...facts, ...before });
      for (const { did, key } of signers) await writer.putSigner({ did, publicKey: key.publicKey });
      return writer.insert([envelopes[n]!]);
    });
  await takeIn(0, false);
  const first = await stateOf(instance);
  expect(await takeIn(1, true)).toMatchObject({ replaced: 1 });
  const second = await stateOf(instance);
  // As a sync does.
  expect(await takeIn(2, false)).toMatchObject({ replaced: 1 });
  expect(await takeIn(2, true)).toMatchObject({ deduplicated: 1 });

  const undo = (batch: number) => rollBack(home, { batch, copies: folder.file("copies") });
  expect(await undo(2)).toMatchObject({ removed: 0, restored: 0 });
  expect((await stateOf(instance)).digest).not.toBe(second.digest);
  expect(await undo(1)).toMatchObject({ removed: 0, restored: 1, records: 1 });
  expect(await stateOf(instance)).toEqual(first);
  await instance.close();
});

test("what was revoked since stays revoked, what was made here stays", async () => {
  using folder = new ScratchFolder();
  const { instance, take, undo } = await scene(folder);
  await createAccount(instance, { name: "own", scopes: ["records:read"], description: "" }, {}, OWNER);
  await take();
  await createAccount(instance, { name: "later", scopes: ["records:read"], description: "" }, {}, OWNER);
  await revokeAccount(instance, "ci", null, OWNER);
  await undo();
  expect((await listAccounts(instance)).map(({ name, state }) => [name, state])).toEqual([
    ["ci", "revoked"],
    ["later", "active"],
    ["own", "active"],
  ]);
  await take();
  expect((await listAccounts(instance)).find(({ name }) => name === "ci")).toMatchObject({
    state: "revoked",
  });
  await instance.close();
});

test("where what would be left is not what was there, nothing has changed", async () => {
  using folder = new ScratchFolder();
  const { instance, take, undo, paths, copies } = await scene(folder);
  await take();
  const db = new Database(paths.db);
  db.run("DELETE FROM records WHERE seq = 2");
  db.close();
  await instance.store.transact((writer) => writer.rebuild());
  const before = await stateOf(instance);
  await expect(undo()).rejects.toMatchObject({
    code: "verification_failed",
    message: "rollback refused: what would be left is not what was there before batch 1",
  });
  expect(await stateOf(instance)).toEqual(before);
  expect(await listImports(instance)).toMatchObject([{ state: "standing" }]);
  expect(readdirSync(paths.keys)).toContain(`${before.instance_did.slice(-40)}.key`);
  expect(readdirSync(paths.keys)).toHaveLength(3);
  expect(readdirSync(join(copies, readdirSync(copies)[0]!))).toEqual([]);
  await instance.close();
});

test("a key that is gone, a batch that is not there, one that was undone, nothing at all: refused by name", async () => {
  using folder = new ScratchFolder();
  const { instance, take, undo, paths, copies } = await scene(folder);
  await expect(undo()).rejects.toMatchObject({
    code: "not_found",
    message: "there is nothing to roll back: no import stands",
  });
  await take();
  const before = await stateOf(instance);
  await expect(undo({ batch: 2 })).rejects.toMatchObject({
    code: "not_found",
    message: "there is no batch 2: 1 import so far",
  });
  const retired = join(paths.keys, "retired");
  const [name] = readdirSync(retired);
  const key = readFileSync(join(retired, name!));
  rmSync(join(retired, name!));
  await expect(undo()).rejects.toMatchObject({ code: "key_missing" });
  expect(await stateOf(instance)).toEqual(before);
  await Bun.write(join(retired, name!), key);
  await undo();
  await expect(undo({ batch: 1 })).rejects.toMatchObject({ code: "rollback_refused" });
  await expect(undo()).rejects.toMatchObject({ code: "not_found" });
  expect(existsSync(copies)).toBe(true);
  await instance.close();
});

test("a superseded instance refuses, unless it goes back to an identity that is still its own", async () => {
  using folder = new ScratchFolder();
  const { instance, take, undo } = await scene(folder);
  const before = await stateOf(instance);
  /** Another home takes over who this one is. */
  const supersede = () =>
    instance.store.transact(async (writer) => {
      const signer = await instance.signer(writer);
      const elsewhere = { ...signer, stewardId: "f".repeat(32), epoch: signer.epoch + 1000 };
      await noteStatement(writer, ownStatement(elsewhere, "https://old.example", instance.ports.clock()));
    });
  await take();
  await supersede();
  expect(await undo()).toMatchObject({ identity: "restored" });
  expect(await stateOf(instance)).toEqual(before);

  await take({ keepIdentity: true });
  await supersede();
  await expect(undo()).rejects.toMatchObject({ code: "superseded" });
  await instance.close();
});
