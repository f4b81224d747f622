import { describe, expect, test } from "bun:test";
import { foldInput } from "../../../lib/folds/input.ts";
import { InstanceFolds } from "../../../lib/folds/reserved.ts";
import { ThreadFold } from "../../../lib/folds/threads.ts";
import type { Act, Entry, JsonObject } from "../../../lib/record/types.ts";
import { makeEntry, testSigner } from "../../kit/records.ts";

const [own, other] = [testSigner(1), testSigner(2)];

function fold(...entries: Entry[]) {
  const thread = new ThreadFold();
  for (const entry of entries) thread.add(foldInput(entry));
  return thread.result();
}

const say = (act: Act, body: JsonObject, options: { signer?: typeof own; actor?: string } = {}) =>
  makeEntry({ act, body, ...(options.actor && { actor: options.actor }) }, { signer: options.signer ?? own });

describe("the state of a thread", () => {
  const intent = say("INTEND", { goal: "ship", namespace: "work" });
  const second = say("INTEND", { goal: "rest" });

  test("a goal opens it, its fulfilment closes it", () => {
    expect(fold(intent)).toEqual({ goal: "ship", state: "open" });
    expect(fold(intent, say("KNOW", { fulfills: intent.id })).state).toBe("done");
    expect(fold(intent, second, say("KNOW", { fulfills: intent.id })).state).toBe("open");
  });

  test("only the same actor under the same signer cancels", () => {
    const cancel = { cancels: intent.id };
    expect(fold(intent, say("DO", cancel)).state).toBe("canceled");
    expect(fold(intent, say("DO", cancel, { signer: other })).state).toBe("open");
    expect(fold(intent, say("DO", cancel, { actor: "did:sync:user:mallory" })).state).toBe("open");
  });

  test("without a goal there is no state, and bodies of another shape do no harm", () => {
    expect(fold(say("DO", { text: "x" }))).toEqual({ goal: null, state: "none" });
    expect(fold(say("INTEND", { goal: 7 }), say("KNOW", { fulfills: [intent.id] })).state).toBe("none");
  });
});

describe("the reserved threads", () => {
  const pair = makeEntry({
    thread: "th_federation_pairs",
    act: "LEARN",
    body: { topic: "pair", peer_did: "did:sync:instance:peer", url: "https://a.example" },
  });
  const change = (body: JsonObject, signer = own) =>
    makeEntry(
      { thread: "th_federation_pairs", act: "LEARN", body: { topic: "pair", pair: pair.id, ...body } },
      { signer },
    );

  test("a pair keeps its id through every change and stays revoked", () => {
    const folds = new InstanceFolds(own.did);
    folds.add([pair, change({ state: "active", url: "https://b.example" })]);
    const shown = { id: pair.id, peer_did: "did:sync:instance:peer", url: "https://b.example" };
    const untold = { mode: "polling", interval_s: 60, threads: null } as const;
    expect(folds.pairs.standing()).toEqual([{ ...shown, state: "active", ...untold }]);
    folds.add([change({ mode: "continuous", interval_s: 10, threads: ["th_a"] })]);
    folds.add([change({ mode: "never", interval_s: 0, threads: ["th a"] })]);
    const told = { mode: "continuous" as const, interval_s: 10, threads: ["th_a"] };
    expect(folds.pairs.standing()).toEqual([{ ...shown, state: "active", ...told }]);
    folds.add([change({ threads: null })]);
    expect(folds.pairs.standing()[0]?.threads).toBeNull();
    folds.add([change({ state: "revoked" }), change({ state: "active" })]);
    expect(folds.pairs.standing()).toEqual([]);
  });

  describe("several pairs with one peer, as records of two homes bring them,", () => {
    const open = (body: JsonObject = {}, parents: Entry[] = [], signer = own) =>
      makeEntry(
        {
          thread: "th_federation_pairs",
          act: "LEARN",
          parents: parents.map(({ id }) => id),
          clock: parents.length,
          body: { topic: "pair", peer_did: "did:sync:instance:peer", state: "active", ...body },
        },
        { signer },
      );
    const set = (of: Entry, body: JsonObject) => change({ pair: of.id, ...body });
    const standing = (...entries: Entry[]) => {
      const folds = new InstanceFolds(own.did);
      folds.add(entries);
      return folds.pairs.standing();
    };
    const [one, two] = [open({ n: 1 }), open({ n: 2 })];

    test("stand as one, as narrow as the strictest of them", () => {
      const narrowed = [
        set(one, { mode: "continuous", interval_s: 300, threads: ["th_a", "th_b"] }),
        set(two, { mode: "on-demand", interval_s: 30, threads: ["th_b", "th_c"] }),
      ];
      const strictest = { state: "active", mode: "on-demand", interval_s: 300, threads: ["th_b"] };
      expect(standing(one, two, ...narrowed)).toMatchObject([{ id: one.id, ...strictest }]);
      expect(standing(two, one, ...narrowed.reverse())).toMatchObject([{ id: two.id, ...strictest }]);
      const paused = { state: "paused", threads: ["th_a"] };
      expect(standing(one, two, set(one, paused), set(two, { state: "active" }))).toMatchObject([paused]);
      expect(standing(one, open({ n: 3, state: "establishing" }))).toMatchObject([{ state: "active" }]);
    });

    test("are where it was said last of any of them", () => {
      const url = "https://b.example";
      expect(standing(open({ url: "https://a.example" }), two, set(two, { url }))).toMatchObject([{ url }]);
    });

    test("are all ended by what revoked one, but for those that were opened in the knowledge of it", () => {
      const end = set(one, { state: "revoked" });
      expect(standing(one, two, end)).toEqual([]);
      expect(standing(one, end, two)).toEqual([]);
      // Also by way of what another identity has written there meanwhile.
      const between = open({ peer_did: other.did }, [end], other);
      const anew = open({ n: 4 }, [between]);
      expect(standing(one, two, end, between, anew)).toMatchObject([{ id: anew.id, state: "active" }]);
      // Each home has revoked it, and one of them has paired anew.
      const there = set(one, { state: "revoked", n: 2 });
      const knowsOne = open({ n: 5 }, [there]);
      expect(standing(one, end, there, knowsOne)).toEqual([]);
      expect(standing(one, there, end, knowsOne)).toEqual([]);
      expect(standing(one, end, there, open({ n: 6 }, [end, there]))).toHaveLength(1);
    });
  });

  test("what another DID signed has no effect", () => {
    const folds = new InstanceFolds(other.did);
    folds.add([
      pair,
      makeEntry({ thread: "th_consent", act: "LEARN", body: { topic: "grant", from: "a", to: "b" } }),
    ]);
    expect(folds.pairs.all()).toEqual([]);
    expect(folds.consent.all()).toEqual([]);
  });

  test("what no name, DID or address can be does not count, so that nothing large is kept", () => {
    const long = "x".repeat(3000);
    const learn = (thread: string, body: JsonObject) => makeEntry({ thread, act: "LEARN", body });
    const folds = new InstanceFolds(own.did);
    folds.add([
      learn("th_federation_pairs", { topic: "pair", peer_did: long }),
      learn("th_federation_pairs", { topic: "pair", peer_did: own.did, url: long }),
      learn("th_consent", { topic: "grant", from: long, to: "b" }),
      learn("th_consent", { topic: "grant", from: "", to: "*" }),
      learn("th_actor_registry", { topic: "actor", actor: long }),
      learn("th_actor_registry", { topic: "actor", actor: own.did, name: long }),
    ]);
    expect(folds.pairs.all()).toMatchObject([{ peer_did: own.did, url: null }]);
    expect(folds.consent.all()).toEqual([]);
    expect([...folds.actors.result()]).toEqual([[own.did, null]]);
  });

  test("a grant holds until it is revoked", () => {
    const folds = new InstanceFolds(own.did);
    const grant = makeEntry({
      thread: "th_consent",
      act: "LEARN",
      body: { topic: "grant", from: "a", to: "b" },
    });
    folds.add([grant]);
    expect(folds.consent.all()).toEqual([{ id: grant.id, from: "a", to: "b" }]);
    folds.add([
      makeEntry({ thread: "th_consent", act: "LEARN", body: { topic: "revoke", grant: grant.id } }),
    ]);
    expect(folds.consent.all()).toEqual([]);
  });
});
