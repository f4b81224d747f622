import { toHex } from "../base/bytes.ts";

/**
 * What can be said of an Ed25519 point from its 32 encoded bytes (RFC 8032, section 5.1.2: the y coordinate,
 * little-endian, with the sign of x in the top bit). Variable time: for public keys only.
 */

const P = 2n ** 255n - 19n;
const D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;

/** The y coordinates of the eight points of small order; each stands for both signs of x. */
const SMALL_ORDER_Y = new Set([
  `${"00".repeat(32)}`,
  `01${"00".repeat(31)}`,
  `ec${"ff".repeat(30)}7f`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]);

/** The y coordinate's bytes, little-endian hex. */
function yHex(bytes: Uint8Array): string {
  const y = bytes.slice();
  y[31]! &= 0x7f;
  return toHex(y);
}

function yCoordinate(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes.toReversed())}`) & (2n ** 255n - 1n);
}

/** Whether y is below 2^255 - 19, so that the point has no second spelling. */
export function isCanonical(bytes: Uint8Array): boolean {
  return yCoordinate(bytes) < P;
}

/** Whether eight times the point is the identity: such a key would accept one signature for many messages. */
export function isSmallOrder(bytes: Uint8Array): boolean {
  return SMALL_ORDER_Y.has(yHex(bytes));
}

/** Whether some x goes with this y: x^2 = (y^2 - 1) / (d y^2 + 1), by Euler's criterion. */
export function isOnCurve(bytes: Uint8Array): boolean {
  const y = yCoordinate(bytes);
  const square = (y * y) % P;
  return power(((square + P - 1n) * (D * square + 1n)) % P, (P - 1n) / 2n) <= 1n;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let rest = exponent, factor = base; rest > 0n; rest >>= 1n, factor = (factor * factor) % P) {
    if (rest & 1n) result = (result * factor) % P;
  }
  return result;
}
