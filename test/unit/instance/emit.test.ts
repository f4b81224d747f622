import { describe, expect, test } from "bun:test";
import { verifyEntry } from "../../../lib/identity/record_signature.ts";
import { emit } from "../../../lib/instance/emit.ts";
import { showThread, threadRecords } from "../../../lib/instance/threads.ts";
import { entryToEnvelope } from "../../../lib/record/envelope.ts";
import { ALICE, emission, newInstance } from "../../kit/instances.ts";
import { ScratchFolder } from "../../kit/store.ts";

const BOB = "did:sync:user:bob";

describe("emitting", () => {
  test("each record names the heads before it and counts on, within one batch and across batches", async () => {
    using folder = new ScratchFolder();
    const instance = await newInstance(folder, "home");
    const [a, b] = await emit(instance, [emission(), emission()], { actor: ALICE });
    const [c] = await emit(instance, [emission({ actor: BOB })], { actor: ALICE });
    const { items: records } = await threadRecords(instance, "th_a", { limit: 10 });
    expect(records.map((entry) => entryToEnvelope(entry).record)).toMatchObject([
      { clock: 0, parents: [], actor: ALICE },
      { clock: 1, parents: [a!.id], actor: ALICE },
      { clock: 2, parents: [b!.id], actor: BOB },
    ]);
    expect((await showThread(instance, "th_a")).heads).toEqual([c!.id]);
    await instance.close();
  });

  test("records are signed by the instance", async () => {
    using folder = new ScratchFolder();
    const instance = await newInstance(folder, "home");
    await emit(instance, [emission({ judged_by: "ab".repeat(32) })], { actor: ALICE });
    const { did, publicKey } = await instance.store.read((reader) => instance.signer(reader));
    const [entry] = (await threadRecords(instance, "th_a", { limit: 1 })).items;
    expect(entry!.signer).toBe(did);
    expect(verifyEntry(entry!, publicKey)).toBe(true);
    expect(verifyEntry({ ...entry!, judged_by: null }, publicKey)).toBe(false);
    await instance.close();
  });

  test("with more than 64 heads the 64 with the highest clocks are named, the rest next time", async () => {
    using folder = new ScratchFolder();
    const instance = await newInstance(folder, "home");
    const roots = Array.from({ length: 70 }, (_, i) => emission({ parents: [], body: { i } }));
    const emitted = await emit(instance, roots, { actor: ALICE });
    await emit(instance, [emission(), emission()], { actor: ALICE });
    const records = (await threadRecords(instance, "th_a", { limit: 100 })).items.map(
      (e) => entryToEnvelope(e).record,
    );
    expect(records[70]!.parents).toEqual(
      emitted
        .slice(6)
        .map((e) => e.id)
        .sort(),
    );
    expect(records[71]!.parents).toHaveLength(7);
    expect((await showThread(instance, "th_a")).heads).toHaveLength(1);
    await instance.close();
  });

  test("a record that would fork its author's line is refused, the same record again is not", async () => {
    using folder = new ScratchFolder();
    const instance = await newInstance(folder, "home");
    const first = emission({ parents: [], clock: 0, body: { n: 1 } });
    const [a] = await emit(instance, [first], { actor: ALICE });
    expect(await emit(instance, [first], { actor: ALICE })).toEqual([{ ...a!, deduplicated: true }]);
    const fork = emission({ parents: [], clock: 0, body: { n: 2 } });
    await expect(emit(instance, [emission(), fork], { actor: ALICE })).rejects.toMatchObject({
      code: "fork_refused",
    });
    expect(await showThread(instance, "th_a")).toMatchObject({ records: 1, forks: 0 });
    expect((await emit(instance, [{ ...fork, actor: BOB }], { actor: ALICE }))[0]!.clock).toBe(0);
    await instance.close();
  });

  test("the same record under another judgement is refused, not passed off as known", async () => {
    using folder = new ScratchFolder();
    const instance = await newInstance(folder, "home");
    const first = emission({ parents: [], clock: 0 });
    await emit(instance, [first], { actor: ALICE });
    const judged = { ...first, judged_by: "ab".repeat(32) };
    await expect(emit(instance, [judged], { actor: ALICE })).rejects.toMatchObject({ code: "conflict" });
    await instance.close();
  });

  test("parents the thread does not hold, clocks below a parent's, and far jumps are refused", async () => {
    using folder = new ScratchFolder();
    const instance = await newInstance(folder, "home");
    const [a] = await emit(instance, [emission()], { actor: ALICE });
    const refused = [
      emission({ parents: ["ab".repeat(32)] }),
      emission({ thread: "th_b", parents: [a!.id] }),
      emission({ parents: [a!.id], clock: 0, actor: BOB }),
      emission({ clock: 2 ** 32 + 1 }),
    ];
    for (const each of refused) {
      await expect(emit(instance, [each], { actor: ALICE })).rejects.toMatchObject({
        code: "invalid_record",
      });
    }
    expect(await showThread(instance, "th_a")).toMatchObject({ records: 1 });
    await instance.close();
  });

  test("concurrent callers never share a clock", async () => {
    using folder = new ScratchFolder();
    const instance = await newInstance(folder, "home");
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => emit(instance, [emission({ body: { i } })], { actor: ALICE })),
    );
    expect(await showThread(instance, "th_a")).toMatchObject({ records: 20, forks: 0, clock: 19 });
    await instance.close();
  });
});
