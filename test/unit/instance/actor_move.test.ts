import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { toHex, utf8 } from "../../../lib/base/bytes.ts";
import type { SplError } from "../../../lib/base/errors.ts";
import { sha256 } from "../../../lib/base/sha256.ts";
import { type ActorFileFacts, actorHeader, MAX_ACTOR_LINE } from "../../../lib/bundle/actor_file.ts";
import { didKey } from "../../../lib/identity/did.ts";
import { signRecord } from "../../../lib/identity/record_signature.ts";
import { exportActor } from "../../../lib/instance/actor_export.ts";
import {
  type ActorImportOptions,
  type ActorImportSummary,
  importActor,
} from "../../../lib/instance/actor_import.ts";
import { registerActor, showActor } from "../../../lib/instance/actors.ts";
import { emit } from "../../../lib/instance/emit.ts";
import type { Instance } from "../../../lib/instance/instance.ts";
import { noteStatement, ownStatement } from "../../../lib/instance/steward.ts";
import { listTrust } from "../../../lib/instance/trust.ts";
import { canonicalText } from "../../../lib/record/canonical.ts";
import { envelopeLine } from "../../../lib/record/envelope.ts";
import type { Entry } from "../../../lib/record/types.ts";
import { splitLines } from "../../../server/stages/lines.ts";
import { ALICE, emission, exported, imported, inPieces, newInstance } from "../../kit/instances.ts";
import { makeEntry, type TestSigner, testSigner } from "../../kit/records.ts";
import { ScratchFolder } from "../../kit/store.ts";

const BOB = "did:sync:user:bob";
const OPERATOR = "did:sync:user:operator";
const OPTIONS: ActorImportOptions = {
  dryRun: false,
  merge: false,
  trustDiscount: null,
  by: OPERATOR,
  account: "test",
};

let folder: ScratchFolder;
let a: Instance;
let b: Instance;
beforeEach(async () => {
  folder = new ScratchFolder();
  a = await newInstance(folder, "a");
  b = await newInstance(folder, "b");
});
afterEach(async () => {
  await a.close();
  await b.close();
  folder[Symbol.dispose]();
});

/** Alice at work on `instance`, with one failure and two successes that Bob tells of. */
async function history(instance: Instance): Promise<void> {
  const outcome = (success: boolean) =>
    emission({
      thread: "th_review",
      act: "KNOW",
      actor: BOB,
      body: { topic: "outcome", subject: ALICE, domain: "deploy", success, at: new Date().toISOString() },
    });
  await emit(
    instance,
    [
      emission({ thread: "th_a", act: "INTEND", body: { goal: "ship é 漢" } }),
      emission({ thread: "th_a", act: "DO", actor: BOB, body: { text: "not hers" } }),
      emission({ thread: "th_a", act: "DO", body: { text: "one" } }),
      emission({ thread: "th_b", act: "KNOW", body: { text: "known" } }),
      emission({ thread: "th_b", act: "LEARN", body: { text: "learned" } }),
      outcome(true),
      outcome(true),
      outcome(false),
    ],
    { actor: ALICE },
  );
  await registerActor(instance, { actor: ALICE, name: "Alice", by: OPERATOR });
}

async function fileOf(instance: Instance, actor = ALICE, memories = true): Promise<string> {
  return (await Array.fromAsync(exportActor(instance, { actor, memories }))).join("");
}

async function* linesOf(text: string) {
  const lines = text.split("\n").filter((line) => line !== "");
  for (let at = 0; at < lines.length; at += 3)
    yield lines.slice(at, at + 3).map((line, i) => ({ number: at + i + 1, bytes: utf8(line) }));
}

function take(
  instance: Instance,
  text: string,
  options: Partial<ActorImportOptions> = {},
): Promise<ActorImportSummary> {
  return importActor(instance, linesOf(text), { ...OPTIONS, ...options });
}

async function refusal(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = (await promise.then(
    () => new Error("it was taken in"),
    (thrown) => thrown,
  )) as SplError;
  return { code: error.code, message: error.message };
}

/** Everything of one actor, envelopes as they are. */
async function envelopesOf(instance: Instance, actor = ALICE): Promise<string[]> {
  const lines: string[] = [];
  await instance.store.read(async (reader) => {
    for await (const batch of reader.entries())
      for (const entry of batch) if (entry.actor === actor) lines.push(envelopeLine(entry));
  });
  return lines;
}

const totals = (instance: Instance) => instance.store.read((reader) => reader.totals());

describe("an actor that moves", () => {
  test("keeps ids, signatures and signers, and is registered under its name", async () => {
    await history(a);
    const summary = await take(b, await fileOf(a));
    expect(summary).toMatchObject({
      actor: ALICE,
      name: "Alice",
      inspected: 7,
      inserted: 7,
      deduplicated: 0,
      refused: 0,
      threads: 3,
      signers: 1,
      registrations: 2,
      dry_run: false,
    });
    expect(await envelopesOf(b)).toEqual(await envelopesOf(a));
    const { did } = await a.store.read((reader) => a.signer(reader));
    expect(await showActor(b, ALICE)).toMatchObject({
      name: "Alice",
      registered: true,
      records: 4,
      threads: 2,
      signers: [did],
      first_clock: 0,
      last_clock: 2,
      origins: [{ did, weight: 1 }],
    });
  });

  test("brings the word of others, and no other record of theirs", async () => {
    await history(a);
    await take(b, await fileOf(a));
    expect(await envelopesOf(b, BOB)).toHaveLength(3);
    const [there] = await listTrust(a, { actor: ALICE });
    const [here] = await listTrust(b, { actor: ALICE });
    expect(here).toMatchObject({ domain: "deploy", outcomes: 3, successes: 2 });
    expect(here!.trust).toBeCloseTo(there!.trust, 6);
  });

  test("is trusted as much less as was asked for, and the last word counts", async () => {
    await history(a);
    const file = await fileOf(a);
    await take(b, file, { trustDiscount: 0.5 });
    expect((await listTrust(b, {}))[0]!.weight).toBeCloseTo(1.5, 4);
    expect(await take(b, file, { trustDiscount: 0 })).toMatchObject({ inserted: 0, registrations: 1 });
    expect(await listTrust(b, {})).toEqual([]);
    expect(await take(b, file, { trustDiscount: 1 })).toMatchObject({ registrations: 1, trust_discount: 1 });
    expect((await listTrust(b, {}))[0]!.weight).toBeCloseTo(3, 4);
  });

  test("stays as trusted as it was where nobody says how much when it comes again, from further away as well", async () => {
    await history(a);
    await take(b, await fileOf(a), { trustDiscount: 0.5 });
    const unsaid = { inserted: 0, registrations: 0, trust_discount: 0.5 };
    expect(await take(b, await fileOf(a), { dryRun: true })).toMatchObject(unsaid);
    expect(await take(b, await fileOf(a))).toMatchObject(unsaid);
    expect((await listTrust(b, {}))[0]!.weight).toBeCloseTo(1.5, 4);

    const c = await newInstance(folder, "c");
    await history(c);
    await take(a, await fileOf(c), { merge: true, trustDiscount: 0.5 });
    expect(await take(b, await fileOf(a), { merge: true })).toMatchObject({ registrations: 1 });
    const didC = await c.store.read(async (reader) => (await c.signer(reader)).did);
    expect((await showActor(b, ALICE)).origins).toContainEqual({ did: didC, weight: 0.25 });
    await c.close();
  });

  test("a second time inserts nothing and writes nothing", async () => {
    await history(a);
    const file = await fileOf(a);
    await take(b, file);
    const before = await totals(b);
    expect(await take(b, file)).toMatchObject({ inserted: 0, deduplicated: 7, registrations: 0 });
    expect(await totals(b)).toEqual(before);
  });

  test("goes on to a third place with every signer and origin, each discount on top of the other", async () => {
    await history(a);
    await take(b, await fileOf(a), { trustDiscount: 0.5 });
    await emit(b, [emission({ thread: "th_b", body: { text: "at b" } })], { actor: ALICE });
    const c = await newInstance(folder, "c");
    const summary = await take(c, await fileOf(b), { trustDiscount: 0.5 });
    expect(summary).toMatchObject({ inspected: 8, inserted: 8, signers: 2 });
    expect(await envelopesOf(c)).toEqual(await envelopesOf(b));
    const [didA, didB] = await Promise.all(
      [a, b].map((instance) => instance.store.read(async (reader) => (await instance.signer(reader)).did)),
    );
    const { origins } = await showActor(c, ALICE);
    expect(new Map(origins.map(({ did, weight }) => [did, weight]))).toEqual(
      new Map([
        [didA!, 0.25],
        [didB!, 0.5],
      ]),
    );
    await c.close();
  });

  test("comes home without a trace of having been away", async () => {
    await history(a);
    await take(b, await fileOf(a));
    const before = await totals(a);
    expect(await take(a, await fileOf(b))).toMatchObject({ inserted: 0, deduplicated: 7 });
    expect((await totals(a)).records).toBe(before.records + 1);
    expect((await listTrust(a, {}))[0]).toMatchObject({ outcomes: 3 });
  });

  test("without memories leaves what it knows and has learned", async () => {
    await history(a);
    expect(await take(b, await fileOf(a, ALICE, false))).toMatchObject({ inspected: 5, memories: false });
    const acts = (await envelopesOf(b)).map((line) => JSON.parse(line).record.act);
    expect(acts).toEqual(["INTEND", "DO"]);
    expect(await listTrust(b, {})).toHaveLength(1);
  });

  test("leaves what it wrote on reserved threads", async () => {
    await emit(a, [emission({ thread: "th_engine_config", act: "LEARN", body: { topic: "x" } })], {
      actor: ALICE,
    });
    const [header, ...rest] = (await fileOf(a)).trim().split("\n");
    expect(JSON.parse(header!)).toMatchObject({ actor: ALICE, records: 0, name: null });
    expect(rest).toEqual([]);
  });

  test("leaves what others say of somebody else by its name", async () => {
    await history(a);
    const stranger = testSigner(8);
    const said = { topic: "outcome", subject: ALICE, success: true, at: new Date().toISOString() };
    await a.store.transact(async (writer) => {
      await writer.putSigner({ did: stranger.did, publicKey: stranger.key.publicKey });
      const fields = { thread: "th_pulled", act: "KNOW" as const, actor: BOB, body: said };
      await writer.insert([makeEntry(fields, { signer: stranger })]);
    });
    expect(await take(b, await fileOf(a))).toMatchObject({ inspected: 7, signers: 1 });
  });

  test("registered and silent, moves as well", async () => {
    await registerActor(a, { actor: ALICE, name: "Alice", by: OPERATOR });
    expect(await take(b, await fileOf(a))).toMatchObject({ inspected: 0, registrations: 2, name: "Alice" });
    expect(await showActor(b, ALICE)).toMatchObject({ records: 0, first_clock: null, trust: [] });
  });

  test("unknown, is not found", async () => {
    expect(await refusal(fileOf(a, "did:sync:user:nobody"))).toMatchObject({ code: "not_found" });
    expect(await refusal(showActor(a, "did:sync:user:alic"))).toMatchObject({ code: "not_found" });
    expect(await refusal(showActor(a, ""))).toMatchObject({ code: "not_found" });
  });

  test("the same state gives the same file, and nothing stays in run/", async () => {
    await history(a);
    expect(await fileOf(a)).toBe(await fileOf(a));
    await take(b, await fileOf(a));
    await refusal(take(b, "{}"));
    for (const { paths } of [a, b]) expect(readdirSync(paths.run)).toEqual([]);
  });
});

test("trust and origins go along when the whole instance moves", async () => {
  await history(a);
  await take(b, await fileOf(a), { trustDiscount: 0.5 });
  const c = await newInstance(folder, "c");
  await imported(c.paths.home, await exported(b.paths.home));
  expect((await showActor(c, ALICE)).origins).toEqual((await showActor(b, ALICE)).origins);
  const [there, here] = await Promise.all([b, c].map((each) => listTrust(each, {})));
  expect(here!.map(({ actor, domain, outcomes }) => [actor, domain, outcomes])).toEqual([
    [ALICE, "deploy", 3],
  ]);
  expect(here![0]!.trust).toBeCloseTo(there![0]!.trust, 6);
  await c.close();
});

describe("an actor that is here already", () => {
  const other = () => emit(b, [emission({ body: { text: "another alice" } })], { actor: ALICE });

  test("is not united unless it was asked for", async () => {
    await history(a);
    await other();
    const before = await totals(b);
    expect(await refusal(take(b, await fileOf(a)))).toEqual({
      code: "store_not_empty",
      message: `import refused: ${ALICE} has 1 record here; pass --merge to unite them`,
    });
    expect(await refusal(take(b, await fileOf(a), { dryRun: true }))).toMatchObject({
      code: "store_not_empty",
    });
    expect(await totals(b)).toEqual(before);
    expect(await take(b, await fileOf(a), { merge: true })).toMatchObject({ inserted: 7 });
    expect(await envelopesOf(b)).toHaveLength(5);
  });

  test("a rehearsal tells the same summary and writes nothing", async () => {
    await history(a);
    const file = await fileOf(a);
    const before = await totals(b);
    const { dry_run: _, ...rehearsed } = await take(b, file, { dryRun: true });
    expect(await totals(b)).toEqual(before);
    const { dry_run: __, ...done } = await take(b, file);
    expect(rehearsed).toEqual(done);
  });
});

test("a home whose identity lives elsewhere takes nobody in, and still lets go", async () => {
  await history(a);
  const file = await fileOf(a);
  await b.store.transact(async (writer) => {
    const signer = await b.signer(writer);
    const moved = { ...signer, stewardId: "f".repeat(32), epoch: signer.epoch + 1 };
    await noteStatement(writer, ownStatement(moved, "https://b.example", Date.now()));
  });
  expect(await refusal(take(b, file))).toMatchObject({ code: "superseded" });
  expect(await refusal(take(b, file, { dryRun: true }))).toMatchObject({ code: "superseded" });
  expect((await totals(b)).records).toBe(0);
  await a.store.transact(async (writer) => {
    const signer = await a.signer(writer);
    const moved = { ...signer, stewardId: "f".repeat(32), epoch: signer.epoch + 1 };
    await noteStatement(writer, ownStatement(moved, null, Date.now()));
  });
  expect(await fileOf(a)).toBe(file);
});

test("every byte of a file matters", async () => {
  await history(a);
  await take(b, await fileOf(a));
  await emit(b, [emission({ thread: "th_b", body: { text: "at b" } })], { actor: ALICE });
  const file = utf8(await fileOf(b));
  const c = await newInstance(folder, "c");
  const missed: number[] = [];
  for (let at = 0; at < file.length; at += 3) {
    const flipped = file.with(at, file[at]! ^ (1 << (at % 8)));
    const lines = importActor(c, splitLines(inPieces(flipped, 1000), MAX_ACTOR_LINE), OPTIONS);
    const { code } = await refusal(lines);
    if (code !== "bundle_malformed" && code !== "verification_failed") missed.push(at);
  }
  expect(missed).toEqual([]);
  expect((await totals(c)).records).toBe(0);
  await c.close();
});

describe("a file that is not believed", () => {
  const source = testSigner(9);
  const stranger = testSigner(8);

  interface Forged {
    facts?: Partial<ActorFileFacts>;
    signers?: { did: string; public_key: string }[];
    by?: TestSigner;
  }

  /** A file of these records, signed as `source` would. */
  function forge(entries: Entry[], { facts = {}, signers = [], by = source }: Forged = {}): string {
    const ids = entries.map(({ id }) => Buffer.from(id, "hex"));
    const header = actorHeader(
      {
        actor: ALICE,
        name: null,
        source_did: source.did,
        public_key: toHex(source.key.publicKey),
        memories: true,
        origins: [{ did: source.did, weight: 1 }],
        signers: signers.length,
        records: entries.length,
        records_root: toHex(sha256.hash(Buffer.concat(ids))),
        ...facts,
      },
      by.key,
    );
    const lines = [...signers.map((line) => canonicalText({ ...line })), ...entries.map(envelopeLine)];
    return `${header}${lines.map((line) => `${line}\n`).join("")}`;
  }

  const record = (clock: number, fields: Parameters<typeof makeEntry>[0] = {}, signer = source) =>
    makeEntry({ clock, body: { clock }, ...fields }, { signer });
  const one = () => record(0);
  const two = () => record(1);
  const lineOf = ({ did, key }: TestSigner) => ({ did, public_key: toHex(key.publicKey) });

  test("the forger writes one that is", async () => {
    const foreign = record(1, {}, stranger);
    const summary = await take(b, forge([one(), foreign], { signers: [lineOf(stranger)] }));
    expect(summary).toMatchObject({ inserted: 2, signers: 2 });
  });

  const web = "did:web:a.example";
  const webSigned = (): Entry => {
    const entry = record(0);
    return { ...entry, signer: web, sig: signRecord(entry.id, null, web, stranger.key) };
  };

  test.each<[string, () => string, string]>([
    ["nothing", () => "", "it is empty"],
    ["no JSON", () => "hello\n", "line 1: invalid JSON"],
    ["no header", () => `${envelopeLine(one())}\n`, "line 1: has the unknown field"],
    ["another version", () => forge([]).replace('"version":1', '"version":2'), "version 2 is not known"],
    [
      "a changed header",
      () => forge([]).replace('"memories":true', '"memories":false'),
      "signature verification failed",
    ],
    ["a header signed by another", () => forge([], { by: stranger }), "signature verification failed"],
    [
      "a header in the name of another",
      () => forge([], { by: stranger, facts: { public_key: toHex(stranger.key.publicKey) } }),
      `public_key is not the key of ${source.did}`,
    ],
    [
      "weights above 1",
      () => forge([], { facts: { origins: [{ did: source.did, weight: 2 }] } }),
      "from 0 to 1",
    ],
    [
      "a cut file",
      () => forge([one(), two()], {}).split("\n").slice(0, 2).join("\n"),
      "it ends after 1 of 2 records",
    ],
    [
      "a line too many",
      () => `${forge([one()])}${envelopeLine(two())}\n`,
      "line 3: it goes on behind its 1 records",
    ],
    [
      "a record that was left out",
      () => forge([two()], { facts: { records_root: toHex(sha256.hash(Buffer.alloc(0))) } }),
      "not those of its header",
    ],
    ["records out of order", () => forge([two(), one()]), "line 3: out of canonical order"],
    ["a record twice", () => forge([one(), one()]), "line 3: out of canonical order"],
    [
      "a changed record",
      () => forge([one()]).replace('"body":{"clock":0}', '"body":{"clock":7}'),
      "line 2: id is not the record's hash",
    ],
    [
      "a changed signer",
      () => forge([one()]).replace(`"signer":"${source.did}"`, `"signer":"${stranger.did}"`),
      "is not among the signers",
    ],
    ["a signature of another's", () => forge([{ ...one(), sig: two().sig }]), "line 2: its signature by"],
    [
      "a foreign signature that is wrong",
      () => forge([{ ...record(0, {}, stranger), sig: one().sig }], { signers: [lineOf(stranger)] }),
      "line 3: its signature by",
    ],
    ["a record of somebody else", () => forge([record(0, { actor: BOB })]), "is neither by"],
    [
      "a reserved thread",
      () => forge([record(0, { thread: "th_consent", act: "LEARN" })]),
      "reserved thread th_consent",
    ],
    ["a clock that jumps", () => forge([one(), record(2 ** 33)]), "jumps more than 2^32 ahead"],
    ["a first clock that jumps", () => forge([record(2 ** 33)]), "jumps more than 2^32 ahead"],
    [
      "signers out of order",
      () =>
        forge([], {
          signers: [lineOf(stranger), lineOf(testSigner(7))].sort((x, y) => (x.did < y.did ? 1 : -1)),
        }),
      "line 3: the signers are not in ascending order",
    ],
    [
      "the source among the signers",
      () => forge([], { signers: [lineOf(source)] }),
      "line 2: it names the source again",
    ],
  ])("%s", async (_, file, message) => {
    const before = await totals(b);
    const refused = await refusal(take(b, file(), { merge: true }));
    expect(refused).toEqual({ code: "bundle_malformed", message: expect.stringContaining(message) });
    expect(refused.message).toStartWith("actor file malformed: ");
    expect(await totals(b)).toEqual(before);
  });

  test("a signer whose key nothing proves", async () => {
    const signers = [{ did: web, public_key: toHex(stranger.key.publicKey) }];
    expect(await refusal(take(b, forge([webSigned()], { signers })))).toEqual({
      code: "verification_failed",
      message: `import refused: nothing proves the key of ${web}`,
    });
    await b.store.transact((writer) => writer.putSigner({ did: web, publicKey: stranger.key.publicKey }));
    expect(await take(b, forge([webSigned()], { signers }))).toMatchObject({ inserted: 1 });
  });

  test("a signer with another key than it has here", async () => {
    await b.store.transact((writer) => writer.putSigner({ did: web, publicKey: source.key.publicKey }));
    const signers = [{ did: web, public_key: toHex(stranger.key.publicKey) }];
    expect(await refusal(take(b, forge([webSigned()], { signers })))).toMatchObject({
      code: "verification_failed",
      message: `import refused: ${web} has another key here`,
    });
  });

  test("did:key proves its key", async () => {
    const did = didKey(stranger.key.publicKey);
    const entry = record(0);
    const signed = { ...entry, signer: did, sig: signRecord(entry.id, null, did, stranger.key) };
    const signers = [{ did, public_key: toHex(stranger.key.publicKey) }];
    expect(await take(b, forge([signed], { signers }))).toMatchObject({ inserted: 1 });
  });
});

test("what two instances register alike stays registered at each that takes in the other's records", async () => {
  const bundles: Uint8Array[] = [];
  for (const instance of [a, b]) {
    await registerActor(instance, { actor: ALICE, name: "Alice", by: OPERATOR });
    bundles.unshift(await exported(instance.paths.home));
  }
  for (const [n, instance] of [a, b].entries()) {
    await imported(instance.paths.home, bundles[n]!, { keepIdentity: true, forceOverwrite: true });
    expect(await showActor(instance, ALICE)).toMatchObject({ registered: true, name: "Alice" });
  }
});
