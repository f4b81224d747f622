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
