import { describe, expect, test } from "bun:test";
import { fromUtf8, utf8 } from "../../../lib/base/bytes.ts";
import { instanceDid } from "../../../lib/identity/did.ts";
import { keyFromSeed } from "../../../lib/identity/key.ts";
import { recordMessage, signRecord, verifyEntry } from "../../../lib/identity/record_signature.ts";

const key = keyFromSeed(new Uint8Array(32).fill(1));
const stranger = keyFromSeed(new Uint8Array(32).fill(2));
const signer = instanceDid("local", key.publicKey);
const id = "ab".repeat(32);
const judge = "cd".repeat(32);
const entry = { id, judged_by: judge, signer, sig: signRecord(id, judge, signer, key) };

describe("recordMessage", () => {
  test("is the ASCII text of the spec", () => {
    expect(fromUtf8(recordMessage(id, judge, signer))).toBe(`syncropel-record-v1:${id}:${judge}:${signer}`);
    expect(fromUtf8(recordMessage(id, null, signer))).toBe(`syncropel-record-v1:${id}::${signer}`);
  });
});

describe("verifyEntry", () => {
  test("accepts what the signer signed", () => {
    expect(verifyEntry(entry, key.publicKey)).toBe(true);
    const unjudged = { ...entry, judged_by: null, sig: signRecord(id, null, signer, key) };
    expect(verifyEntry(unjudged, key.publicKey)).toBe(true);
  });

  test.each([
    ["another id", { id: judge }],
    ["judged_by taken away", { judged_by: null }],
    ["another judged_by", { judged_by: id }],
    ["another signer", { signer: instanceDid("local", stranger.publicKey) }],
    ["another name of the same key", { signer: instanceDid("other", key.publicKey) }],
    ["a stranger's signature", { sig: signRecord(id, judge, signer, stranger) }],
    ["no signature", { sig: new Uint8Array(0) }],
    ["a manifest's signature", { sig: key.sign(utf8(`{"source_did":"${signer}"}`)) }],
    ["a signature of the bare id", { sig: key.sign(utf8(id)) }],
  ])("refuses %s", (_, change) => expect(verifyEntry({ ...entry, ...change }, key.publicKey)).toBe(false));

  test("refuses another key", () => expect(verifyEntry(entry, stranger.publicKey)).toBe(false));
});
