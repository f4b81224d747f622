import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { systemRandom } from "../../../lib/base/random.ts";
import {
  linkSecret,
  newRecoveryCode,
  newSecret,
  secretHash,
  tidyRecoveryCode,
} from "../../../lib/hosting/secrets.ts";

test("a link's secret is the HMAC of instance and number under the service's key (RFC 2104)", () => {
  const key = new Uint8Array(32).fill(9);
  const secret = linkSecret(key, "0123456789abcdef", 3);
  expect(secret).toBe(
    createHmac("sha256", key).update("spl-first-run-v1:0123456789abcdef:3").digest("base64url"),
  );
  const others = [
    linkSecret(key, "0123456789abcdef", 4),
    linkSecret(key, "0123456789abcdee", 3),
    linkSecret(new Uint8Array(32), "0123456789abcdef", 3),
  ];
  expect(new Set([secret, ...others]).size).toBe(4);
});

test("secrets have 256 bits, and their hash is not them", () => {
  const secret = newSecret(systemRandom);
  expect(secret).toMatch(/^[\w-]{43}$/);
  expect(secretHash(secret)).toMatch(/^[0-9a-f]{64}$/);
  expect(new Set(Array.from({ length: 1000 }, () => newSecret(systemRandom))).size).toBe(1000);
});

test("a recovery code is typed in any case and with any separators", () => {
  const letters = new Set<string>();
  for (let i = 0; i < 500; i++) {
    const code = newRecoveryCode(systemRandom);
    expect(code).toMatch(/^(?:[2-9a-hjkmnp-tv-z]{5}-){5}[2-9a-hjkmnp-tv-z]{5}$/);
    for (const letter of code.replaceAll("-", "")) letters.add(letter);
    for (const typed of [
      code,
      code.toUpperCase(),
      code.replaceAll("-", " "),
      code.replaceAll("-", ""),
      ` ${code}\n`,
    ]) {
      expect(tidyRecoveryCode(typed)).toBe(code);
    }
  }
  expect(letters.size).toBe(30);
});

test("what is no code stays none", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (typed) => {
      expect(tidyRecoveryCode(typed)).toMatch(/^[a-z0-9-]*$/);
    }),
  );
});
