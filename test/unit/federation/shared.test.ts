import { expect, test } from "bun:test";
import { selectionHash, sharedWith } from "../../../lib/federation/shared.ts";
import { ConsentFold } from "../../../lib/folds/consent.ts";
import { foldInput } from "../../../lib/folds/input.ts";
import type { Pair } from "../../../lib/folds/pairs.ts";
import type { JsonObject } from "../../../lib/record/types.ts";
import { makeEntry, testSigner } from "../../kit/records.ts";

const pair: Pair = {
  id: "1".repeat(64),
  peer_did: testSigner(1).did,
  url: null,
  state: "active",
  mode: "polling",
  interval_s: 60,
  threads: null,
};

function consentOf(...bodies: JsonObject[]): ConsentFold {
  const fold = new ConsentFold();
  for (const [clock, body] of bodies.entries())
    fold.add(foldInput(makeEntry({ thread: "th_consent", act: "LEARN", body, clock })));
  return fold;
}

const grant = (from: string, to: string) => ({ topic: "grant", from, to });

test("a pair shares the default namespace and what was granted to it or to every pair, never reserved threads", () => {
  const consent = consentOf(
    grant("work", pair.peer_did),
    grant("other", testSigner(2).did),
    grant("open", "*"),
    grant("work", "*"),
  );
  const shared = sharedWith({ consent }, pair);
  expect(shared.namespaces).toEqual(["default", "open", "work"]);
  expect(shared.threads).toBeNull();
  expect(shared.without.toSorted()).toEqual([
    "th_actor_registry",
    "th_consent",
    "th_devices",
    "th_engine_config",
    "th_federation_pairs",
  ]);
});

test("the pair's list narrows that, and an empty one leaves nothing", () => {
  const consent = consentOf();
  expect(sharedWith({ consent }, { ...pair, threads: ["th_b", "th_a"] }).threads).toEqual(["th_a", "th_b"]);
  expect(sharedWith({ consent }, { ...pair, threads: [] }).threads).toEqual([]);
});

test("the hash is equal exactly when what is shared is equal", () => {
  const hashOf = (consent: ConsentFold, more: Partial<Pair> = {}) =>
    selectionHash(sharedWith({ consent }, { ...pair, ...more }));
  const bare = hashOf(consentOf());
  expect(bare).toMatch(/^[0-9a-f]{64}$/);
  const [a, b] = [grant("a", "*"), grant("b", pair.peer_did)];
  expect(hashOf(consentOf(a, b))).toBe(hashOf(consentOf(b, a, a)));
  const others = [
    hashOf(consentOf(a)),
    hashOf(consentOf(a, b)),
    hashOf(consentOf(), { threads: [] }),
    hashOf(consentOf(), { threads: ["th_a"] }),
  ];
  expect(new Set([bare, ...others]).size).toBe(5);
  expect(hashOf(consentOf(), { url: "https://new.example", mode: "continuous" })).toBe(bare);
});
