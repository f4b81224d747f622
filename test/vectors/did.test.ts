import { describe, expect, test } from "bun:test";
import { base58 } from "@scure/base";
import { toHex } from "../../lib/base/bytes.ts";
import { certifies, didDocumentKey, didKey, didWebUrl, parseDidKey } from "../../lib/identity/did.ts";
import { keyFromSeed } from "../../lib/identity/key.ts";
import type { JsonObject } from "../../lib/record/types.ts";
import { vectorJson, vectorLines } from "./vectors.ts";

describe("did:key", () => {
  interface Row {
    file: string;
    did: string;
    expect: string;
    value: { seed: string };
  }
  const rows = vectorLines<Row>("did/did-key-vectors.jsonl");
  const accepted = rows.filter((row) => row.expect === "accept");
  const refused = rows.filter((row) => row.expect !== "accept");

  test("has all its rows", () => expect([accepted.length, refused.length]).toEqual([5, 25]));

  test.each(accepted)("$did is the key of its seed", ({ did, value }) => {
    const { publicKey } = keyFromSeed(Uint8Array.fromHex(value.seed));
    expect(didKey(publicKey)).toBe(did);
    expect(parseDidKey(did)).toEqual(publicKey);
    expect(certifies(did, publicKey)).toBe(true);
  });

  test.each(refused)("$file: $did is no signer", ({ did }) => expect(parseDidKey(did)).toBeNull());
});

describe("base58", () => {
  test.each(vectorJson<[string, string][]>("did/base58_encode_decode.json"))("%s", (hex, text) => {
    expect(base58.encode(Uint8Array.fromHex(hex))).toBe(text);
    expect(toHex(base58.decode(text))).toBe(hex.toLowerCase());
  });
});

describe("did:web", () => {
  const rows = vectorLines<{ did: string; url: string | null }>("did/did-web-urls.jsonl");

  test.each(rows.filter(({ url }) => url !== null))("$did", ({ did, url }) => {
    expect(didWebUrl(did)).toBe(url);
  });

  test("a document of another id vouches for nothing", () => {
    const { did } = rows.find(({ url }) => url === null)!;
    const { publicKey } = keyFromSeed(new Uint8Array(32));
    const document = (id: string): JsonObject => ({
      id,
      verificationMethod: [
        { controller: did, publicKeyMultibase: didKey(publicKey).slice("did:key:".length) },
      ],
    });
    expect(didDocumentKey(document(did), did)).toEqual(publicKey);
    expect(didDocumentKey(document("did:web:example.com"), did)).toBeNull();
  });
});
