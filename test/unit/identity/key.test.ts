import { describe, expect, test } from "bun:test";
import { createPublicKey } from "node:crypto";
import { inspect } from "node:util";
import { SplError } from "../../../lib/base/errors.ts";
import { ed25519 } from "../../../lib/identity/ed25519.ts";
import { generateKey, keyFromSeed, publicKeyPem } from "../../../lib/identity/key.ts";

const seed = Uint8Array.fromHex("d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842");

describe("KeyPair", () => {
  test("signs as the key of its seed", () => {
    const key = keyFromSeed(seed);
    const message = Uint8Array.of(1, 2, 3);
    expect(key.seed).toEqual(seed);
    expect(ed25519.verify(key.sign(message), message, key.publicKey)).toBe(true);
  });

  test("does not change when the bytes that it came from do", () => {
    const bytes = seed.slice();
    const key = keyFromSeed(bytes);
    bytes.fill(0);
    key.seed.fill(0);
    expect(key.seed).toEqual(seed);
    expect(key.sign(bytes)).toEqual(keyFromSeed(seed).sign(bytes));
  });

  test("does not show its seed when it is printed or serialised", () => {
    const key = keyFromSeed(seed);
    for (const shown of [JSON.stringify(key), inspect(key, { depth: 9 }), Bun.inspect(key), String(key)]) {
      expect(shown.replaceAll(/\s/g, "")).not.toContain([...seed.subarray(0, 4)].join());
      expect(shown).not.toContain(seed.toHex());
    }
    expect(Object.keys(key)).not.toContain("seed");
  });

  test.each([0, 31, 33, 64])("refuses a seed of %i bytes", (length) => {
    expect(() => keyFromSeed(new Uint8Array(length))).toThrow(SplError);
    expect(() => keyFromSeed(new Uint8Array(length))).toThrow(`has ${length} bytes instead of 32`);
  });

  test("a new key takes its 32 bytes from the given source", () => {
    expect(generateKey((n) => seed.slice(0, n)).fingerprint).toBe(keyFromSeed(seed).fingerprint);
  });
});

describe("publicKeyPem", () => {
  const { publicKey } = keyFromSeed(seed);

  test("is the example of RFC 8410, section 10.1", () => {
    expect(publicKeyPem(publicKey)).toBe(
      "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
    );
  });

  test("is what the engine's own writer gives", () => {
    const pem = publicKeyPem(publicKey);
    expect(createPublicKey(pem).export({ format: "pem", type: "spki" })).toBe(pem);
  });
});
