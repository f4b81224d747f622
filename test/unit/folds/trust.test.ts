import { describe, expect, test } from "bun:test";
import { foldInput } from "../../../lib/folds/input.ts";
import { InstanceFolds } from "../../../lib/folds/reserved.ts";
import {
  OriginFold,
  readOutcome,
  TrustFold,
  UNKNOWN_TRUST,
  wilsonLowerBound,
} from "../../../lib/folds/trust.ts";
import type { Act, JsonObject } from "../../../lib/record/types.ts";
import { makeEntry, type TestSigner, testSigner } from "../../kit/records.ts";

const NOW = Date.parse("2026-03-01T00:00:00.000Z");
const DAY = 24 * 60 * 60 * 1000;
const [own, other] = [testSigner(1), testSigner(2)];
const BOB = "did:sync:user:bob";
const CAROL = "did:sync:user:carol";

const daysAgo = (days: number) => new Date(NOW - days * DAY).toISOString();

function said(body: JsonObject, { act = "KNOW" as Act, actor = CAROL, signer = own } = {}) {
  return makeEntry(
    { act, actor, body: { topic: "outcome", subject: BOB, at: daysAgo(0), ...body } },
    { signer },
  );
}

function fold(entries: ReturnType<typeof said>[], origins = new OriginFold(), did = own.did) {
  const trust = new TrustFold(did, origins, NOW);
  for (const entry of entries) trust.add(entry);
  return trust.result();
}

const scoreOf = (...entries: ReturnType<typeof said>[]) => fold(entries)[0]!.trust;

/**
 * The bound by its definition: the smallest share for which what was seen lies within 1.96 standard deviations; found by
 * halving, without the formula.
 */
function boundByDefinition(successes: number, outcomes: number): number {
  const seen = successes / outcomes;
  let [low, high] = [0, seen];
  for (let i = 0; i < 100; i++) {
    const share = (low + high) / 2;
    const deviation = Math.sqrt((share * (1 - share)) / outcomes);
    if (seen - share > 1.959963984540054 * deviation) low = share;
    else high = share;
  }
  return low;
}

describe("the Wilson bound", () => {
  test("of numbers worked out elsewhere", () => {
    expect(wilsonLowerBound(7, 10)).toBeCloseTo(0.39678, 5);
    expect(wilsonLowerBound(8, 11)).toBeCloseTo(0.43435, 5);
    expect(wilsonLowerBound(17, 20)).toBeCloseTo(0.63958, 5);
    expect(wilsonLowerBound(7, 20)).toBeCloseTo(0.18119, 5);
    expect(wilsonLowerBound(107, 110)).toBeCloseTo(0.92287, 5);
  });

  test("is what its definition says, for fractions too", () => {
    for (const [successes, outcomes] of [
      [7, 10],
      [7.5, 10.5],
      [8.25, 11.5],
      [1, 1],
      [999, 1000],
    ] as const) {
      expect(wilsonLowerBound(successes, outcomes)).toBeCloseTo(boundByDefinition(successes, outcomes), 12);
    }
    expect(wilsonLowerBound(0, 5)).toBeCloseTo(0, 12);
  });
});

describe("the score", () => {
  test("starts from 7 successes in 10", () => expect(UNKNOWN_TRUST).toBeCloseTo(0.39678, 5));

  test("one success is 8 in 11, one failure 7 in 11", () => {
    expect(scoreOf(said({ success: true }))).toBeCloseTo(wilsonLowerBound(8, 11), 12);
    expect(scoreOf(said({ success: false }))).toBeCloseTo(wilsonLowerBound(7, 11), 12);
  });

  test("an outcome weighs half after 30 days and a quarter after 60", () => {
    expect(scoreOf(said({ success: true, at: daysAgo(30) }))).toBeCloseTo(0.41614, 5);
    expect(scoreOf(said({ success: false, at: daysAgo(30) }))).toBeCloseTo(0.374, 5);
    const both = [said({ success: true }), said({ success: true, at: daysAgo(60) })];
    const faded = said({ success: false, at: daysAgo(60) });
    const [{ trust, weight, ...counts }] = fold([...both, faded]) as [ReturnType<typeof fold>[number]];
    expect(counts).toEqual({ actor: BOB, domain: "general", outcomes: 3, successes: 2 });
    expect(weight).toBeCloseTo(1.5, 12);
    expect(trust).toBeCloseTo(wilsonLowerBound(8.25, 11.5), 12);
  });

  test("goes back to the start in years", () => {
    expect(scoreOf(said({ success: false, at: daysAgo(3650) }))).toBeCloseTo(UNKNOWN_TRUST, 12);
  });

  test("what lies ahead counts no more than now, and beyond a day not yet", () => {
    expect(scoreOf(said({ success: true, at: daysAgo(-0.5) }))).toBeCloseTo(wilsonLowerBound(8, 11), 12);
    expect(fold([said({ success: true, at: daysAgo(-1.5) })])).toEqual([]);
  });

  test("is kept by actor and domain, in that order", () => {
    const rows = fold([
      said({ success: true, domain: "review" }),
      said({ success: false, domain: "deploy" }),
      said({ success: true, subject: "did:sync:user:alice" }),
      said({ success: true, domain: "review" }),
    ]);
    expect(rows.map(({ actor, domain, outcomes }) => [actor, domain, outcomes])).toEqual([
      ["did:sync:user:alice", "general", 1],
      [BOB, "deploy", 1],
      [BOB, "review", 2],
    ]);
  });

  test("does not depend on the order of records", () => {
    const entries = [1, 20, 40, 3].map((days) => said({ success: days > 2, at: daysAgo(days) }));
    const [forth] = fold(entries);
    const [back] = fold(entries.toReversed());
    expect(back!.trust).toBeCloseTo(forth!.trust, 12);
  });
});

describe("whose word counts", () => {
  const success = { success: true };

  test("not the actor's own, whoever signed it", () => {
    const origins = new OriginFold();
    origins.add(foldInput(origin(other, 1)));
    expect(
      fold([said(success, { actor: BOB }), said(success, { actor: BOB, signer: other })], origins),
    ).toEqual([]);
  });

  test("not that of another instance, which may know someone else by that name", () => {
    expect(fold([said(success, { signer: other })])).toEqual([]);
    expect(fold([said(success, { signer: other })], new OriginFold(), other.did)).toHaveLength(1);
  });

  test("that of an instance the actor came from, as much as was agreed last", () => {
    const origins = new OriginFold();
    origins.add(foldInput(origin(other, 1)));
    origins.add(foldInput(origin(other, 0.5)));
    const [row] = fold([said(success, { signer: other }), said(success)], origins);
    expect(row).toMatchObject({ outcomes: 2, weight: 1.5 });
    expect(row!.trust).toBeCloseTo(wilsonLowerBound(8.5, 11.5), 12);
    origins.add(foldInput(origin(other, 0)));
    expect(fold([said(success, { signer: other })], origins)).toEqual([]);
  });

  test("and of no other actor from there", () => {
    const origins = new OriginFold();
    origins.add(foldInput(origin(other, 1)));
    expect(fold([said({ ...success, subject: "did:sync:user:dave" }, { signer: other })], origins)).toEqual(
      [],
    );
  });

  test("origins are what this instance itself wrote, and within 0 and 1", () => {
    const folds = new InstanceFolds(own.did);
    const by = (signer: TestSigner, weight: number) => {
      const body = { topic: "actor-origin", actor: BOB, from: other.did, weight };
      return makeEntry({ thread: "th_actor_registry", act: "LEARN", body }, { signer });
    };
    folds.add([by(other, 1)]);
    expect([...folds.origins.of(BOB)]).toEqual([]);
    folds.add([by(own, 0.5), by(own, 2), by(own, -1), by(other, 1)]);
    expect([...folds.origins.of(BOB)]).toEqual([[other.did, 0.5]]);
  });

  function origin({ did }: TestSigner, weight: number) {
    const body = { topic: "actor-origin", actor: BOB, from: did, weight };
    return makeEntry({ thread: "th_actor_registry", act: "LEARN", body });
  }
});

describe("what is no outcome", () => {
  test.each<[string, JsonObject, Act?]>([
    ["another act", { success: true }, "LEARN"],
    ["another topic", { success: true, topic: "result", about: { topic: "outcome" } }],
    ["a subject that is no DID", { success: true, subject: "bob" }],
    ["a success that is neither true nor false", { success: 1 }],
    ["no success", {}],
    ["a time that is none", { success: true, at: "yesterday" }],
    ["a time without a zone", { success: true, at: "2026-02-01T00:00:00" }],
    ["a number as time", { success: true, at: 5 }],
    ["an empty domain", { success: true, domain: "" }],
    ["a domain that is no text", { success: true, domain: null }],
    ["a domain that is too long", { success: true, domain: "x".repeat(257) }],
  ])("%s", (_, body, act = "KNOW") => expect(readOutcome(said(body, { act }))).toBeNull());

  test("and what is one", () => {
    expect(readOutcome(said({ success: true, domain: "deploy", at: "2026-02-01T01:00:00+01:00" }))).toEqual({
      subject: BOB,
      domain: "deploy",
      success: true,
      at: Date.parse("2026-02-01T00:00:00Z"),
    });
  });
});
