import { describe, expect, test } from "bun:test";
import { compareBytes, fromHex, toHex, utf8 } from "../../../lib/base/bytes.ts";
import { SplError } from "../../../lib/base/errors.ts";
import { sha256 } from "../../../lib/base/sha256.ts";
import { type IdSet, initiate, reconcile } from "../../../lib/federation/negentropy.ts";
import { Negentropy, NegentropyStorageVector } from "../../kit/nip77.ts";
import { seeded } from "../../kit/seeded.ts";

/** nostr-tools' implementation of the same protocol, which takes the initiator's part only. */
function theirs(ids: readonly string[], limit = 1e9): Negentropy {
  const storage = new NegentropyStorageVector();
  for (const id of ids) storage.insert(0, id);
  storage.seal();
  return new Negentropy(storage, limit);
}

function ours(ids: readonly string[]): IdSet {
  const sorted = ids.map((id) => fromHex(id, 32)!).sort(compareBytes);
  const between = (from: Uint8Array, to: Uint8Array | null) =>
    sorted.filter((id) => compareBytes(id, from) >= 0 && (to === null || compareBytes(id, to) < 0));
  return {
    count: async (from, to) => between(from, to).length,
    async *ids(from, to) {
      const all = between(from, to);
      for (let at = 0; at < all.length; at += 100) yield all.slice(at, at + 100);
    },
  };
}

const pick = seeded(77);

/** Ids that both hold, that only the first holds, and that only the second does. */
function sets(both: number, left: number, right: number) {
  const ids = Array.from({ length: both + left + right }, (_, n) =>
    toHex(sha256.hash(utf8(`${both} ${left} ${right} ${n} ${pick(1e9)}`))),
  );
  const shared = ids.slice(0, both);
  const onlyA = ids.slice(both, both + left).sort();
  const onlyB = ids.slice(both + left).sort();
  return { a: [...shared, ...onlyA], b: [...shared, ...onlyB], onlyA, onlyB };
}

const SHAPES: [both: number, left: number, right: number][] = [
  [0, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
  [1, 0, 0],
  [5, 3, 2],
  [31, 1, 0],
  [32, 0, 0],
  [33, 1, 1],
  [500, 0, 7],
  [500, 7, 0],
  [2000, 6, 6],
  [0, 400, 400],
  [3000, 1, 900],
];

describe("beside nostr-tools", () => {
  for (const shape of SHAPES) {
    const name = `${shape[0]} shared, ${shape[1]} and ${shape[2]} not`;

    test(`their initiator learns the difference from our responder: ${name}`, async () => {
      const { a, b, onlyA, onlyB } = sets(...shape);
      for (const limit of [4096, 60_000]) {
        const initiator = theirs(a);
        const have: string[] = [];
        const need: string[] = [];
        let message: string | null = initiator.initiate();
        for (let round = 0; message !== null; round++) {
          expect(round).toBeLessThan(100);
          const bytes = Uint8Array.fromHex(message);
          const answer = (await reconcile(ours(b), bytes, "responder", limit)).message!;
          message = initiator.reconcile(
            toHex(answer),
            (id) => have.push(id),
            (id) => need.push(id),
          );
        }
        expect(have.sort()).toEqual(onlyA);
        expect(need.sort()).toEqual(onlyB);
      }
    });

    test(`both initiators say the same, byte for byte: ${name}`, async () => {
      const { a, b, onlyA, onlyB } = sets(...shape);
      const other = theirs(a);
      let message: Uint8Array | null = await initiate(ours(a));
      expect(toHex(message)).toBe(other.initiate());
      const found = { have: [] as string[], need: [] as string[] };
      for (let round = 0; message !== null; round++) {
        expect(round).toBeLessThan(10);
        const answer: Uint8Array = (await reconcile(ours(b), message, "responder", 1e9)).message!;
        const step = await reconcile(ours(a), answer, "initiator", 1e9);
        const have: string[] = [];
        const need: string[] = [];
        const reply = other.reconcile(
          toHex(answer),
          (id) => have.push(id),
          (id) => need.push(id),
        );
        expect(step.message && toHex(step.message)).toBe(reply);
        expect(step.have.map(toHex)).toEqual(have);
        expect(step.need.map(toHex).sort()).toEqual(need.sort());
        found.have.push(...have);
        found.need.push(...need);
        message = step.message;
      }
      expect(found.have.sort()).toEqual(onlyA);
      expect(found.need.sort()).toEqual(onlyB);
    });
  }

  test("our responder answers fingerprints as theirs would", async () => {
    const { a, b } = sets(2000, 3, 3);
    const question = await initiate(ours(a));
    const answer = (await reconcile(ours(b), question, "responder", 1e9)).message!;
    expect(toHex(answer)).toBe(theirs(b).reconcile(toHex(question))!);
  });
});

test("short answers end with the same difference, in more rounds", async () => {
  const { a, b, onlyA, onlyB } = sets(3000, 40, 900);
  const have = new Set<string>();
  const need = new Set<string>();
  let message: Uint8Array | null = await initiate(ours(a));
  let rounds = 0;
  while (message !== null) {
    expect(++rounds).toBeLessThan(200);
    const answer: Uint8Array = (await reconcile(ours(b), message, "responder", 2048)).message!;
    const step = await reconcile(ours(a), answer, "initiator", 2048);
    for (const id of step.have) have.add(toHex(id));
    for (const id of step.need) need.add(toHex(id));
    message = step.message;
  }
  expect([...have].sort()).toEqual(onlyA);
  expect([...need].sort()).toEqual(onlyB);
  expect(rounds).toBeGreaterThan(3);
});

describe("what is no message", () => {
  /** An answer, or a refusal that names the message: never another error. */
  async function survives(set: IdSet, message: Uint8Array): Promise<"answered" | "refused"> {
    for (const role of ["responder", "initiator"] as const) {
      try {
        await reconcile(set, message, role, 60_000);
      } catch (error) {
        expect(error).toBeInstanceOf(SplError);
        expect(error).toMatchObject({ code: "invalid_request" });
        return "refused";
      }
    }
    return "answered";
  }

  const { a, b } = sets(150, 5, 5);
  const messages = (async () => {
    const first = await initiate(ours(a));
    const second = (await reconcile(ours(b), first, "responder", 1e9)).message!;
    const third = (await reconcile(ours(a), second, "initiator", 1e9)).message;
    return [first, second, ...(third ? [third] : [])];
  })();

  test("every truncation is refused, or a shorter message of whole ranges", async () => {
    let refused = 0;
    for (const message of await messages) {
      for (let end = 0; end < message.length; end++) {
        if ((await survives(ours(b), message.subarray(0, end))) === "refused") refused++;
      }
    }
    expect(refused).toBeGreaterThan(500);
  });

  test("flipped bits are answered or refused", async () => {
    const outcomes = { answered: 0, refused: 0 };
    for (const message of await messages) {
      for (let n = 0; n < 1500; n++) {
        const flipped = message.slice();
        flipped[pick(flipped.length)]! ^= 1 << pick(8);
        outcomes[await survives(ours(b), flipped)]++;
      }
    }
    expect(outcomes.answered).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(100);
  });

  test("noise is answered or refused", async () => {
    for (let n = 0; n < 2000; n++) {
      const noise = Uint8Array.from({ length: 1 + pick(80) }, () => pick(256));
      noise[0] = 0x61;
      await survives(ours(b), noise);
    }
  });

  for (const [name, hex] of [
    ["nothing at all", ""],
    ["another version", "60"],
    ["a number without end", `61${"ff".repeat(40)}`],
    ["more ids than there are bytes", "610000028fffffff7f"],
    ["a bound of more than 32 bytes", `610121${"00".repeat(33)}00`],
    ["a mode that there is none", "61000003"],
    ["ranges that go back", `610120${"ff".repeat(32)}0001010000`],
  ] as const) {
    test(`${name} is refused`, async () => {
      expect(await survives(ours(b), Uint8Array.fromHex(hex))).toBe("refused");
    });
  }
});
