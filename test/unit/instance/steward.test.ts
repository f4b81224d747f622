import { afterEach, describe, expect, test } from "bun:test";
import type { SplError } from "../../../lib/base/errors.ts";
import type { Statement } from "../../../lib/identity/statement.ts";
import { emit } from "../../../lib/instance/emit.ts";
import { Instance, initInstance } from "../../../lib/instance/instance.ts";
import { keepOwnStatement, noteStatement, stewardView } from "../../../lib/instance/steward.ts";
import type { Adoption } from "../../../lib/instance/types.ts";
import { ALICE, emission, exported, fill, imported } from "../../kit/instances.ts";
import { testSigner } from "../../kit/records.ts";
import { statementOf } from "../../kit/statements.ts";
import { ScratchFolder } from "../../kit/store.ts";

const NOW = Date.parse("2026-03-01T12:00:00.000Z");
const HOUR = 60 * 60 * 1000;

let now = NOW;
const open: Instance[] = [];
afterEach(async () => {
  now = NOW;
  for (const instance of open.splice(0)) await instance.close();
});

async function newHome(folder: ScratchFolder, name: string): Promise<Instance> {
  const ports = { clock: () => now };
  await initInstance(folder.file(name), name, ports);
  const instance = await Instance.open(folder.file(name), ports);
  open.push(instance);
  return instance;
}

const identityOf = ({ store }: Instance) => store.read(async (reader) => (await reader.identity())!);

const stateOf = (instance: Instance) =>
  instance.store.read(async (reader) => stewardView(reader, await instance.signer(reader)));

/** A statement of the same identity by another home. */
async function elsewhere(instance: Instance, fields: Partial<Statement>): Promise<Statement> {
  const { did, key } = await instance.store.read((reader) => instance.signer(reader));
  return statementOf(
    { steward_id: "f".repeat(32), url: "https://elsewhere.example", ...fields },
    { did, key },
  );
}

const note = (instance: Instance, statement: Statement) =>
  instance.store.transact((writer) => noteStatement(writer, statement));

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => null,
    (thrown: SplError) => thrown,
  );
  return error === null ? "none" : `${error.code}: ${error.message}`;
}

const write = (instance: Instance) => emit(instance, [emission()], { actor: ALICE });

describe("the own statement", () => {
  test("stays the same until the address changes, and the epoch even then", async () => {
    using folder = new ScratchFolder();
    const instance = await newHome(folder, "home");
    const first = await keepOwnStatement(instance, "https://a.example");
    now += HOUR;
    expect(await keepOwnStatement(instance, "https://a.example")).toEqual(first);
    const second = await keepOwnStatement(instance, "https://b.example");
    expect(second).toMatchObject({
      url: "https://b.example",
      epoch: first.epoch,
      steward_id: first.steward_id,
    });
    // A clock that was set back must not make what is said now look older than what was said before.
    now = NOW - HOUR;
    const third = await keepOwnStatement(instance, null);
    expect(third.url).toBeNull();
    expect(third.issued_at > second.issued_at).toBe(true);
    const others = await newHome(folder, "other");
    for (const statement of [first, third, second]) await note(others, statement);
    expect(await others.store.read((reader) => reader.endpoint(first.did))).toBe(JSON.stringify(third));
  });

  test("of a home that was put back to an older state takes over the epoch that it had reached", async () => {
    using folder = new ScratchFolder();
    const instance = await newHome(folder, "home");
    const { stewardId, epoch } = await identityOf(instance);
    await note(instance, await elsewhere(instance, { steward_id: stewardId, epoch: epoch + 5 }));
    expect(await stateOf(instance)).toMatchObject({ state: "active" });
    expect(await keepOwnStatement(instance, null)).toMatchObject({ epoch: epoch + 5, url: null });
    expect(await identityOf(instance)).toMatchObject({ epoch: epoch + 5 });
  });

  test("is not remade by a home that was superseded: it passes on what superseded it", async () => {
    using folder = new ScratchFolder();
    const instance = await newHome(folder, "home");
    await keepOwnStatement(instance, "https://a.example");
    const moved = await elsewhere(instance, { epoch: NOW + 1 });
    await note(instance, moved);
    expect(await keepOwnStatement(instance, "https://a.example")).toEqual(moved);
  });
});

describe("the living steward", () => {
  test("is the home of the higher epoch; of equal ones, of the higher steward", async () => {
    using folder = new ScratchFolder();
    const instance = await newHome(folder, "home");
    const { epoch, stewardId } = await identityOf(instance);
    await write(instance);
    await note(instance, await elsewhere(instance, { epoch: epoch - 1 }));
    await note(instance, await elsewhere(instance, { epoch, steward_id: "0".repeat(32) }));
    expect([stewardId > "0".repeat(32), await refusal(write(instance))]).toEqual([true, "none"]);
    await note(instance, await elsewhere(instance, { epoch }));
    expect(await stateOf(instance)).toEqual({
      state: "superseded",
      moved_to: "https://elsewhere.example",
      same_address: false,
      since: new Date(epoch).toISOString(),
    });
    expect(await refusal(write(instance))).toBe(
      `superseded: this identity moved to https://elsewhere.example (${new Date(epoch).toISOString()}): this home is read-only`,
    );
  });

  test("may be another home at this one's own address, which is told as such", async () => {
    using folder = new ScratchFolder();
    const instance = await newHome(folder, "home");
    await keepOwnStatement(instance, "https://former.example");
    await keepOwnStatement(instance, "https://a.example");
    await note(instance, await elsewhere(instance, { epoch: NOW + 1, url: "https://a.example" }));
    const told = async () => ({ ...(await stateOf(instance)), refused: await refusal(write(instance)) });
    const since = new Date(NOW + 1).toISOString();
    expect(await told()).toEqual({
      state: "superseded",
      moved_to: "https://a.example",
      same_address: true,
      since,
      refused: `superseded: this identity moved to another home at the same address, https://a.example (${since}): this home is read-only`,
    });
    // An isolated start names no address, and is still the home that had this one.
    await keepOwnStatement(instance, null);
    expect(await told()).toMatchObject({ same_address: true });
    await keepOwnStatement(instance, "https://b.example");
    expect(await told()).toMatchObject({ same_address: false });
    await note(instance, await elsewhere(instance, { epoch: NOW + 2, url: null }));
    expect((await told()).refused).toContain("moved to another home, which has no address (");
  });

  test("alone writes: a superseded home takes in no bundle either, and hands out its own", async () => {
    using folder = new ScratchFolder();
    const [instance, other] = [await newHome(folder, "home"), await newHome(folder, "other")];
    await fill(instance, 5);
    await fill(other, 3);
    await note(instance, await elsewhere(instance, { epoch: NOW + 1 }));
    const [own, foreign] = [await exported(instance.paths.home), await exported(other.paths.home)];
    for (const keepIdentity of [true, false]) {
      const options = { keepIdentity, forceOverwrite: true };
      expect(await refusal(imported(instance.paths.home, foreign, options))).toStartWith("superseded: ");
    }
    const fresh = await newHome(folder, "fresh");
    expect(await imported(fresh.paths.home, own)).toMatchObject({ inserted: 5, identity: "adopted" });
  });

  test("is above every epoch that its home knows when it adopts, also above that machine's clock", async () => {
    using folder = new ScratchFolder();
    const instance = await newHome(folder, "home");
    await fill(instance, 2);
    const bundle = await exported(instance.paths.home);
    const fresh = await newHome(folder, "fresh");
    const ahead = NOW + 5 * HOUR;
    await note(fresh, await elsewhere(instance, { epoch: ahead }));
    const asked: string[] = [];
    const ports = { clock: () => now, beforeAdoption: async ({ did }: Adoption) => void asked.push(did) };
    await imported(fresh.paths.home, bundle, {}, ports);
    const { did, epoch } = await identityOf(fresh);
    expect([asked, epoch]).toEqual([[did], ahead + 1]);
    expect(await stateOf(fresh)).toMatchObject({ state: "active", moved_to: null, since: null });
    // The same identity again is no move.
    await imported(fresh.paths.home, bundle, {}, ports);
    expect([asked.length, (await identityOf(fresh)).epoch]).toEqual([1, ahead + 1]);
  });

  test("there is none of an identity that was revoked, not even by the highest epoch", async () => {
    using folder = new ScratchFolder();
    const instance = await newHome(folder, "home");
    await fill(instance, 2);
    const bundle = await exported(instance.paths.home);
    const ended = await elsewhere(instance, { epoch: NOW, revoked: true, url: null });
    const fresh = await newHome(folder, "fresh");
    for (const home of [instance, fresh]) {
      await note(home, ended);
      await note(home, await elsewhere(instance, { epoch: NOW + HOUR }));
    }
    expect(await stateOf(instance)).toMatchObject({
      state: "revoked",
      moved_to: null,
      since: ended.issued_at,
    });
    expect(await refusal(imported(fresh.paths.home, bundle))).toStartWith(
      `superseded: ${ended.did} was revoked`,
    );
    expect(await refusal(imported(fresh.paths.home, bundle, { dryRun: true }))).toStartWith("superseded: ");
    expect(await imported(fresh.paths.home, bundle, { keepIdentity: true })).toMatchObject({ inserted: 2 });
    expect(await refusal(write(fresh))).toBe("none");
  });

  test("is nobody's business but its own: what is known of others changes nothing here", async () => {
    using folder = new ScratchFolder();
    const instance = await newHome(folder, "home");
    await note(instance, statementOf({ epoch: NOW + 1, revoked: true, url: null }, testSigner(9)));
    expect(await refusal(write(instance))).toBe("none");
  });
});
