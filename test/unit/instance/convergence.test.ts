import { describe, expect, test } from "bun:test";
import { emit } from "../../../lib/instance/emit.ts";
import type { Instance } from "../../../lib/instance/instance.ts";
import { status } from "../../../lib/instance/status.ts";
import { listThreads, showThread } from "../../../lib/instance/threads.ts";
import { alice, bob, chain, sourceOf, write } from "../../kit/bundle_kit.ts";
import { ALICE, emission, exported, imported, newInstance } from "../../kit/instances.ts";
import { makeEntry } from "../../kit/records.ts";
import { SLOW, seeded } from "../../kit/spread.ts";
import { ScratchFolder } from "../../kit/store.ts";

const SEEDS = SLOW ? 100 : 6;
const STEPS = 14;

/** Choices that a seed fixes. */
function chooser(seed: number) {
  const random = seeded(seed);
  const below = (n: number) => Math.floor(random() * n);
  return {
    below,
    of: <T>(items: readonly T[]): T => items[below(items.length)]!,
    chance: (share: number) => random() < share,
    some: <T>(items: readonly T[], share: number): T[] => items.filter(() => random() < share),
  };
}

type Chooser = ReturnType<typeof chooser>;

const JUDGEMENTS = [null, "0".repeat(64), "f".repeat(64)];

/** A few records, some at positions and of contents that the other instances are likely to choose as well. */
async function scribble(instance: Instance, choose: Chooser): Promise<void> {
  const thread = `th_${choose.below(4)}`;
  const actor = choose.of([ALICE, "did:sync:user:bob"]);
  const many = Array.from({ length: 1 + choose.below(3) }, () => {
    const body = { text: `text ${choose.below(3)}` };
    const position = choose.chance(0.4) ? { clock: choose.below(6), parents: [] } : {};
    return emission({ thread, body, judged_by: choose.of(JUDGEMENTS), ...position });
  });
  // A position that is taken is refused: then nothing was written.
  await emit(instance, many, { actor }).catch((error) => expect(error.code).toBe("fork_refused"));
}

/**
 * A bundle of another instance that holds only some records of a chain, so that parents are missing, and some of a
 * position that several claim, with signers other than its own.
 */
async function fragment(choose: Chooser): Promise<Uint8Array> {
  const [owner, other] = choose.chance(0.5) ? [alice, bob] : [bob, alice];
  const forked = JUDGEMENTS.map((judgedBy, i) =>
    makeEntry({ thread: "th_0", clock: 2, body: { i } }, { signer: choose.of([owner, other]), judgedBy }),
  );
  const entries = [
    ...choose.some(chain(owner, "th_1", 8), 0.5),
    ...choose.some(chain(other, "th_chain", 8), 0.5),
    ...choose.some(forked, 0.5),
  ];
  return write(sourceOf(owner, entries, { others: [other] }), "zst");
}

/** Everything that instances of the same records must agree on. */
async function stateOf(instance: Instance) {
  const { records, threads, forks, digest } = await status(instance);
  const listed = await listThreads(instance, { limit: 1000 });
  const details = await Promise.all(listed.items.map(({ thread }) => showThread(instance, thread)));
  return { records, threads, forks, digest, details };
}

describe("instances that took in the same records in different orders", () => {
  test.each(Array.from({ length: SEEDS }, (_, seed) => seed))(
    "agree on everything (seed %d)",
    async (seed) => {
      using folder = new ScratchFolder();
      const choose = chooser(seed);
      const names = ["a", "b", "c"];
      const instances = await Promise.all(names.map((name) => newInstance(folder, name)));
      const unite = async (into: string, from: string) => {
        const bundle = await exported(folder.file(from), { identity: choose.of(["included", "none"]) });
        const options = { forceOverwrite: true, keepIdentity: choose.chance(0.8), deep: choose.chance(0.5) };
        const summary = await imported(folder.file(into), bundle, options);
        expect(summary.inserted + summary.deduplicated + summary.refused).toBe(summary.inspected);
      };
      for (let step = 0; step < STEPS; step++) {
        const at = choose.below(3);
        const what = choose.below(4);
        if (what < 2) await scribble(instances[at]!, choose);
        else if (what === 2) {
          const options = { forceOverwrite: true, keepIdentity: true };
          await imported(folder.file(names[at]!), await fragment(choose), options);
        } else await unite(names[at]!, choose.of(names.filter((_, i) => i !== at)));
      }
      for (let round = 0; round < 2; round++) {
        for (const into of names) for (const from of names) if (from !== into) await unite(into, from);
      }
      const states = await Promise.all(instances.map(stateOf));
      expect(states[1]).toEqual(states[0]!);
      expect(states[2]).toEqual(states[0]!);

      for (const instance of instances) {
        expect(await instance.store.transact((writer) => writer.rebuild())).toEqual({ changed: false });
      }
      const identity = await exported(folder.file("a"), { identity: "only" });
      for (const other of ["b", "c"]) await imported(folder.file(other), identity, { forceOverwrite: true });
      const [a, b, c] = await Promise.all(
        names.map((name) => exported(folder.file(name), { identity: "none" })),
      );
      expect(b).toEqual(a!);
      expect(c).toEqual(a!);
      await Promise.all(instances.map((instance) => instance.close()));
    },
  );
});
