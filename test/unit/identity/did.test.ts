import { describe, expect, test } from "bun:test";
import { base58 } from "@scure/base";
import { concatBytes, toHex } from "../../../lib/base/bytes.ts";
import { sha256 } from "../../../lib/base/sha256.ts";
import {
  certifies,
  didDocument,
  didDocumentKey,
  didKey,
  didWebUrl,
  instanceDid,
  parseDidKey,
  parseInstanceDid,
} from "../../../lib/identity/did.ts";
import { keyFromSeed } from "../../../lib/identity/key.ts";
import { canonicalText } from "../../../lib/record/canonical.ts";
import { isDid } from "../../../lib/record/shape.ts";
import type { Json, JsonObject } from "../../../lib/record/types.ts";

const { publicKey, fingerprint } = keyFromSeed(new Uint8Array(32).fill(7));
const other = keyFromSeed(new Uint8Array(32).fill(8)).publicKey;
const IDENTITY_POINT = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0));

describe("instanceDid", () => {
  test("ends with the first 40 hex of the key's SHA-256", () => {
    const did = instanceDid("local", publicKey);
    expect(did).toBe(`did:sync:instance:local-${toHex(sha256.hash(publicKey)).slice(0, 40)}`);
    expect(isDid(did)).toBe(true);
    expect(parseInstanceDid(did)).toEqual({ name: "local", fingerprint });
  });

  test.each(["a", "my-team", "9", "a".repeat(63), `x-${"0".repeat(40)}`])("takes the name %s", (name) => {
    expect(parseInstanceDid(instanceDid(name, publicKey))).toEqual({ name, fingerprint });
  });

  test.each(["", "-a", "a-", "A", "ü", "a b", "a.b", "a:b", "a\n", "a".repeat(64)])(
    "refuses the name %j",
    (name) => {
      expect(() => instanceDid(name, publicKey)).toThrow("cannot name an instance");
      expect(parseInstanceDid(`did:sync:instance:${name}-${fingerprint}`)).toBeNull();
    },
  );

  test("names no key for which anyone could sign", () => {
    expect(() => instanceDid("local", IDENTITY_POINT)).toThrow("small order");
  });

  test.each([
    `did:sync:user:local-${fingerprint}`,
    `did:sync:instance:local-${fingerprint.slice(1)}`,
    `did:sync:instance:local-${fingerprint}0`,
    `did:sync:instance:local-${fingerprint.toUpperCase()}`,
    `did:sync:instance:${fingerprint}`,
    `did:sync:instance:local-${fingerprint}#key`,
    `did:sync:instance:local-${fingerprint}\n`,
  ])("%j is no instance", (did) => {
    expect(parseInstanceDid(did)).toBeNull();
    expect(certifies(did, publicKey)).toBe(false);
  });
});

describe("certifies", () => {
  test("by fingerprint and by the key itself, and nothing else", () => {
    for (const did of [instanceDid("local", publicKey), instanceDid("b", publicKey), didKey(publicKey)]) {
      expect(certifies(did, publicKey)).toBe(true);
      expect(certifies(did, other)).toBe(false);
      expect(certifies(did, publicKey.subarray(0, 31))).toBe(false);
    }
    expect(certifies("did:web:example.com", publicKey)).toBe(false);
    expect(certifies("did:sync:user:alice", publicKey)).toBe(false);
  });
});

describe("did:key has one spelling", () => {
  const did = didKey(publicKey);
  const multibase = did.slice("did:key:".length);
  const spell = (...parts: Uint8Array[]) => `did:key:z${base58.encode(concatBytes(...parts))}`;
  const prefix = Uint8Array.of(0xed, 0x01);

  test("that one is read", () => {
    expect(multibase).toStartWith("z6Mk");
    expect(spell(prefix, publicKey)).toBe(did);
    expect(parseDidKey(did)).toEqual(publicKey);
  });

  test.each([
    ["a leading 1", `did:key:z1${multibase.slice(1)}`],
    ["a leading 1 in place of a digit", `did:key:z1${multibase.slice(1, -1)}`],
    ["31 bytes", spell(prefix, publicKey.subarray(1))],
    ["33 bytes", spell(prefix, publicKey, Uint8Array.of(0))],
    ["a trailing character", `${did}1`],
    ["a fragment", `${did}#${multibase}`],
    ["a line feed", `${did}\n`],
    ["capitals", did.toUpperCase()],
    ["another base", `did:key:m${multibase.slice(1)}`],
    ["a character that base58 lacks", `${did.slice(0, -1)}0`],
    ["no multicodec", spell(publicKey)],
    ["a multicodec that begins alike", spell(Uint8Array.of(0xed, 0x00), publicKey)],
    ["X25519", spell(Uint8Array.of(0xec, 0x01), publicKey)],
    ["a longer varint", spell(Uint8Array.of(0xed, 0x81, 0x00), publicKey)],
    ["a key of small order", spell(prefix, IDENTITY_POINT)],
    ["a key that is not canonical", spell(prefix, new Uint8Array(32).fill(0xff).with(31, 0x7f))],
    ["a key off the curve", spell(prefix, new Uint8Array(32).with(0, 2))],
    ["a megabyte", `did:key:z6Mk${"1".repeat(1 << 20)}`],
  ])("%s is refused", (_, spelling) => {
    expect(parseDidKey(spelling)).toBeNull();
    expect(certifies(spelling, publicKey)).toBe(false);
  });
});

describe("did:web", () => {
  test.each([
    ["did:web:example.com", "https://example.com/.well-known/did.json"],
    ["did:web:a-b.example.com:%7Eu:v1.2", "https://a-b.example.com/~u/v1.2/did.json"],
    ["did:web:example.com%3A8443:a", "https://example.com:8443/a/did.json"],
    ["did:web:xn--bcher-kva.example", "https://xn--bcher-kva.example/.well-known/did.json"],
  ])("%s", (did, url) => expect(didWebUrl(did)).toBe(url));

  test.each([
    ["another method", "did:key:z6Mk"],
    ["no host", "did:web:"],
    ["an encoded slash", "did:web:example.com:a%2Fb"],
    ["a slash in the host", "did:web:example.com%2Fa"],
    ["a folder above", "did:web:example.com:..:a"],
    ["an encoded folder above", "did:web:example.com:%2e%2E"],
    ["this folder", "did:web:example.com:."],
    ["an empty folder", "did:web:example.com::a"],
    ["user info", "did:web:user%40example.com"],
    ["user info with a password", "did:web:a%3Ab%40example.com"],
    ["a query", "did:web:example.com:a%3Fb"],
    ["a fragment", "did:web:example.com:a%23b"],
    ["a backslash", "did:web:example.com:a%5Cb"],
    ["a NUL", "did:web:example.com:a%00b"],
    ["a percent sign", "did:web:example.com:a%25b"],
    ["damaged UTF-8", "did:web:example.com:a%ffb"],
    ["an IPv4 address", "did:web:127.0.0.1"],
    ["an IPv4 address with a port", "did:web:127.0.0.1%3A8443"],
    ["a short IPv4 address", "did:web:127.1"],
    ["a hexadecimal IPv4 address", "did:web:0x7f000001"],
    ["a decimal IPv4 address", "did:web:2130706433"],
    ["an IPv6 address", "did:web:%5B%3A%3A1%5D"],
    ["capitals", "did:web:Example.com"],
    ["a trailing dot", "did:web:example.com."],
    ["the default port", "did:web:example.com%3A443"],
    ["port 0", "did:web:example.com%3A0"],
    ["a port that is none", "did:web:example.com%3A65536"],
    ["letters that are not ASCII", "did:web:b%C3%BCcher.example"],
    ["a URL fragment", "did:web:example.com#a"],
  ])("%s is refused", (_, did) => expect(didWebUrl(did)).toBeNull());
});

describe("didDocument", () => {
  const did = instanceDid("local", publicKey);
  const document = didDocument(did, publicKey);
  const methods = document.verificationMethod as JsonObject[];

  test("shows the key in both shapes, under ids of its own", () => {
    expect(methods.map(({ type }) => type)).toEqual(["Multikey", "Ed25519VerificationKey2020"]);
    for (const method of methods) {
      expect(method).toMatchObject({ controller: did, publicKeyMultibase: didKey(publicKey).slice(8) });
    }
    const ids = methods.map(({ id }) => id!);
    expect(new Set(ids).size).toBe(2);
    expect(document.assertionMethod).toEqual(ids);
    expect(document.id).toBe(did);
  });

  test("is the same wherever it is made", () => {
    expect(canonicalText(didDocument(did, publicKey.slice()))).toBe(canonicalText(document));
  });

  test("is read back, for its own DID only", () => {
    expect(didDocumentKey(document, did)).toEqual(publicKey);
    expect(didDocumentKey(document, "did:web:example.com")).toBeNull();
  });

  test.each([
    ["null", null],
    ["an array", []],
    ["a document without keys", { id: did }],
    ["keys that are none", { id: did, verificationMethod: [null, 1, "z6Mk", [], {}] }],
    ["another one's key", { id: did, verificationMethod: [{ ...methods[0]!, controller: "did:web:a" }] }],
    ["a damaged key", { id: did, verificationMethod: [{ controller: did, publicKeyMultibase: "z6Mk" }] }],
  ] as [string, Json][])("%s holds no key", (_, document) =>
    expect(didDocumentKey(document, did)).toBeNull(),
  );
});
