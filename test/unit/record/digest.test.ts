import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { SplError } from "../../../lib/base/errors.ts";
import { type DigestedEntry, DigestSum } from "../../../lib/record/digest.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const hex32 = bytes(32).map((raw) => raw.toHex());
const anyEntry: fc.Arbitrary<DigestedEntry> = fc.record({
  id: hex32,
  sig: bytes(64),
  judged_by: fc.option(hex32),
  signer: fc.stringMatching(/^did:sync:instance:[a-z]{1,40}-[0-9a-f]{40}$/),
});

/** `DIGEST.md`, with big integers and another hash. */
function oracle(entries: DigestedEntry[]): string {
  let sum = 0n;
  for (const { id, sig, judged_by, signer } of entries) {
    const hash = createHash("sha256").update("syncropel-digest-v1\0").update(id, "hex").update(sig);
    hash.update(judged_by === null ? "00" : "01", "hex").update(judged_by ?? "00".repeat(32), "hex");
    sum += BigInt(`0x${hash.update(signer).digest("hex")}`);
  }
  return (sum % 2n ** 256n).toString(16).padStart(64, "0");
}

function sumOf(entries: DigestedEntry[]): DigestSum {
  const sum = new DigestSum();
  for (const entry of entries) sum.add(entry);
  return sum;
}

const known: DigestedEntry = {
  id: "9690d4da5c86fec1dd4ac6364903559d1bd351e1228f870ede949aa3736757fe",
  sig: Uint8Array.from({ length: 64 }, (_, i) => i),
  judged_by: null,
  signer: `did:sync:instance:local-${"0".repeat(40)}`,
};

describe("DigestSum", () => {
  test("has the values that its definition gives elsewhere", () => {
    const judged = { ...known, judged_by: "cd".repeat(32) };
    expect(new DigestSum().hex()).toBe("0".repeat(64));
    expect(sumOf([known]).hex()).toBe("6d2749e544c1d6353fec1330b20d077ba50d8dd40aa2a2d3799a7c349603d846");
    expect(sumOf([judged]).hex()).toBe("18344769168f8c0065b9538285fc1ba05e0a6537303e561dd230eb288a756567");
    expect(sumOf([known, judged]).hex()).toBe(
      "855b914e5b516235a5a566b33809231c0317f30b3ae0f8f14bcb675d20793dad",
    );
  });

  test("is the sum modulo 2^256, whatever the order and the grouping", () => {
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: 8 }), fc.nat(8), (entries, split) => {
        expect(sumOf(entries).hex()).toBe(oracle(entries));
        expect(sumOf(entries.toReversed()).hex()).toBe(oracle(entries));
        const union = sumOf(entries.slice(split));
        union.addSum(sumOf(entries.slice(0, split)));
        expect(union.hex()).toBe(oracle(entries));
        expect(DigestSum.fromBytes(union.toBytes()).hex()).toBe(union.hex());
        for (const entry of entries.slice(split)) union.subtract(entry);
        expect(union.hex()).toBe(oracle(entries.slice(0, split)));
      }),
    );
  });

  test("carries and borrows through all limbs", () => {
    const full = DigestSum.fromBytes(new Uint8Array(32).fill(0xff));
    full.addSum(DigestSum.fromBytes(Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? 1 : 0))));
    expect(full.hex()).toBe("0".repeat(64));
    full.subtract(known);
    full.add(known);
    expect(full.hex()).toBe("0".repeat(64));
  });

  test.each([
    ["id", { id: known.id.replace("9690", "9691") }],
    ["signature", { sig: known.sig.with(63, 0) }],
    ["judged_by", { judged_by: "00".repeat(32) }],
    ["signer", { signer: `${known.signer.slice(0, -1)}1` }],
  ])("changes with the %s", (_, change) => {
    expect(sumOf([{ ...known, ...change }]).hex()).not.toBe(sumOf([known]).hex());
  });

  test.each([
    ["a short id", { id: "ab" }],
    ["a short signature", { sig: new Uint8Array(63) }],
    ["a signer that does not fit", { signer: `did:web:${"a".repeat(300)}` }],
  ])("refuses %s", (_, change) => expect(() => sumOf([{ ...known, ...change }])).toThrow(SplError));

  test("refuses a stored digest of another length", () => {
    expect(() => DigestSum.fromBytes(new Uint8Array(31))).toThrow("a digest has 32 bytes, not 31");
  });
});
