import { describe, expect, test } from "bun:test";
import { Point } from "@noble/ed25519";
import fc from "fast-check";
import { SplError } from "../../../lib/base/errors.ts";
import { nobleEd25519 } from "../../../lib/identity/ed25519.noble.ts";
import { ed25519 } from "../../../lib/identity/ed25519.ts";
import { isCanonical, isOnCurve, isSmallOrder } from "../../../lib/identity/point.ts";
import { readPublicKey } from "../../../lib/identity/public_key.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const seed = new Uint8Array(32).fill(3);
const publicKey = ed25519.publicKey(seed);

/** A generator of the eight points of small order. */
const TORSION = Point.fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa");

function smallOrderPoints(): Uint8Array[] {
  const points = [Point.ZERO];
  for (let n = 1; n < 8; n++) points.push(points[n - 1]!.add(TORSION));
  return points.map((point) => point.toBytes());
}

describe("readPublicKey", () => {
  test("takes every key that a seed gives, as a copy", () => {
    fc.assert(
      fc.property(bytes(32), (seed) => {
        const key = ed25519.publicKey(seed);
        expect(readPublicKey(key)).toEqual(key);
        expect(readPublicKey(key)).not.toBe(key);
      }),
      { numRuns: 30 },
    );
  });

  test("refuses all eight points of small order", () => {
    const points = smallOrderPoints();
    expect(new Set(points.map((point) => point.toHex())).size).toBe(8);
    for (const point of points) {
      expect(isSmallOrder(point)).toBe(true);
      expect(() => readPublicKey(point)).toThrow("is a point of small order, for which anyone can sign");
      expect(ed25519.verify(new Uint8Array(64), seed, point)).toBe(false);
    }
  });

  test.each([
    ["no bytes", new Uint8Array(0), "has 0 bytes instead of 32"],
    ["31 bytes", publicKey.subarray(1), "has 31 bytes instead of 32"],
    ["33 bytes", new Uint8Array(33), "has 33 bytes instead of 32"],
    ["y = p", new Uint8Array(32).fill(0xff).with(0, 0xed).with(31, 0x7f), "is not in canonical form"],
    ["y = 2^255 - 1", new Uint8Array(32).fill(0xff), "is not in canonical form"],
    ["y = 2", new Uint8Array(32).with(0, 2), "is no point of the curve"],
  ])("refuses %s", (_, key, what) => {
    expect(() => readPublicKey(key)).toThrow(SplError);
    expect(() => readPublicKey(key)).toThrow(`the Ed25519 public key ${what}`);
  });

  test("says of any 32 bytes what noble says", () => {
    fc.assert(
      fc.property(bytes(32), (key) => {
        let point: Point | undefined;
        try {
          point = Point.fromBytes(key);
        } catch {}
        expect(isCanonical(key) && isOnCurve(key)).toBe(point !== undefined);
      }),
    );
  });
});

describe("native and noble", () => {
  test("write the same signature and accept it", () => {
    fc.assert(
      fc.property(bytes(32), fc.uint8Array({ maxLength: 300 }), (seed, message) => {
        const sig = ed25519.sign(message, seed);
        expect(nobleEd25519.sign(message, seed)).toEqual(sig);
        for (const provider of [ed25519, nobleEd25519]) {
          expect(provider.verify(sig, message, provider.publicKey(seed))).toBe(true);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("refuse a signature with any bit of it, of its message or its key flipped", () => {
    const message = Uint8Array.of(1, 2, 3);
    const sig = ed25519.sign(message, seed);
    const flip = (bytes: Uint8Array, bit: number) =>
      bytes.with(bit >> 3, bytes[bit >> 3]! ^ (1 << (bit & 7)));
    for (let bit = 0; bit < 512; bit++) {
      const cases: [Uint8Array, Uint8Array, Uint8Array][] = [[flip(sig, bit), message, publicKey]];
      if (bit < 256) cases.push([sig, message, flip(publicKey, bit)]);
      if (bit < 24) cases.push([sig, flip(message, bit), publicKey]);
      for (const args of cases) {
        expect(ed25519.verify(...args)).toBe(false);
        expect(nobleEd25519.verify(...args)).toBe(false);
      }
    }
  });

  test("refuse S + L, the malleable copy", () => {
    const message = Uint8Array.of(1, 2, 3);
    const sig = ed25519.sign(message, seed);
    let s = BigInt(`0x${sig.slice(32).reverse().toHex()}`) + Point.CURVE().n;
    const copy = sig.slice();
    for (let i = 32; i < 64; i++, s >>= 8n) copy[i] = Number(s & 0xffn);
    expect(copy).not.toEqual(sig);
    expect(ed25519.verify(copy, message, publicKey)).toBe(false);
    expect(nobleEd25519.verify(copy, message, publicKey)).toBe(false);
  });
});

test("verdicts hold when more keys are in use than stay parsed", () => {
  const message = Uint8Array.of(9);
  const sig = ed25519.sign(message, seed);
  for (let n = 0; n < 3_000; n++) {
    const key = new Uint8Array(32);
    new DataView(key.buffer).setUint32(4, n + 1);
    expect(ed25519.verify(sig, message, key)).toBe(false);
    if (n % 1_000 === 0) expect(ed25519.verify(sig, message, publicKey)).toBe(true);
  }
  expect(ed25519.verify(sig, message, publicKey)).toBe(true);
});
