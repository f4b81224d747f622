import { describe, expect, test } from "bun:test";
import { type Difference, diffBundles } from "../../../lib/instance/diff.ts";
import { emit } from "../../../lib/instance/emit.ts";
import { initInstance } from "../../../lib/instance/instance.ts";
import { ALICE, emission, exported, fill, imported, inPieces, newInstance } from "../../kit/instances.ts";
import { ScratchFolder } from "../../kit/store.ts";

async function diff(a: Uint8Array, b: Uint8Array) {
  const differences: Difference[] = [];
  const summary = await diffBundles(
    inPieces(a),
    inPieces(b),
    (difference) => void differences.push(difference),
  );
  return { summary, differences };
}

describe("comparing two bundles", () => {
  test("equal instances are equal whatever the compression", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    await fill(a, 20);
    const { summary, differences } = await diff(
      await exported(folder.file("a")),
      await exported(folder.file("a"), { compression: "gz", identity: "none" }),
    );
    expect(summary).toEqual({
      equal: true,
      records_a: 20,
      records_b: 20,
      only_a: 0,
      only_b: 0,
      envelopes: 0,
    });
    expect(differences).toEqual([]);
    await a.close();
  });

  test("each record that one side lacks is named, at the start, in the middle and at the end", async () => {
    using folder = new ScratchFolder();
    const a = await newInstance(folder, "a");
    await fill(a, 20);
    await initInstance(folder.file("b"));
    await imported(folder.file("b"), await exported(folder.file("a")));
    const [early, late] = await emit(a, [emission({ thread: "th_0" }), emission({ thread: "th_zz" })], {
      actor: ALICE,
    });
    const { summary, differences } = await diff(
      await exported(folder.file("a")),
      await exported(folder.file("b")),
    );
    expect(summary).toMatchObject({ equal: false, only_a: 2, only_b: 0 });
    expect(differences).toMatchObject([
      { kind: "only_a", thread: "th_0", id: early!.id },
      { kind: "only_a", thread: "th_zz", id: late!.id },
    ]);
    const reverse = await diff(await exported(folder.file("b")), await exported(folder.file("a")));
    expect(reverse.summary).toMatchObject({ only_a: 0, only_b: 2 });
    await a.close();
  });

  test("another identity is a difference, and so is another signer of the same record", async () => {
    using folder = new ScratchFolder();
    for (const name of ["a", "b"]) {
      const instance = await newInstance(folder, name);
      await emit(instance, [emission()], { actor: ALICE });
      await instance.close();
    }
    const { summary, differences } = await diff(
      await exported(folder.file("a")),
      await exported(folder.file("b")),
    );
    expect(summary).toMatchObject({ equal: false, envelopes: 1, only_a: 0, only_b: 0 });
    expect(differences.map((d) => (d.kind === "manifest" ? d.field : d.kind))).toEqual([
      "source_did",
      "public_key",
      "envelope",
    ]);
  });
});
