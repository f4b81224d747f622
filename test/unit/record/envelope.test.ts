import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fromUtf8, toBase64Url, utf8 } from "../../../lib/base/bytes.ts";
import { SplError } from "../../../lib/base/errors.ts";
import { canonicalText } from "../../../lib/record/canonical.ts";
import {
  compareEnvelopes,
  entryToEnvelope,
  envelopeLine,
  parseEnvelopeLine,
  sealEntry,
} from "../../../lib/record/envelope.ts";
import { recordId } from "../../../lib/record/id.ts";
import type { Entry, HashedFields, JsonObject } from "../../../lib/record/types.ts";

const ID = "ab".repeat(32);
const fields: HashedFields = {
  act: "DO",
  actor: "did:sync:user:alice",
  body: { text: 'a quote " and ,"parents":[ in it', parents: ["x"] },
  clock: 3,
  data_type: "SCALAR",
  parents: [ID],
  thread: "th_demo",
};
const sig = Uint8Array.from({ length: 64 }, (_, i) => 255 - i);
const signer = `did:sync:instance:local-${"0".repeat(40)}`;

function entryOf(changes: Partial<HashedFields> = {}, judged_by: string | null = null): Entry {
  return { ...sealEntry({ ...fields, ...changes }), judged_by, signer, sig };
}

describe("sealEntry", () => {
  test("takes the seven fields, and nothing that stands beside them", () => {
    const beside = { ...fields, judged_by: ID, note: "not hashed" };
    const sealed = sealEntry(beside);
    expect(fromUtf8(sealed.canonical)).toBe(canonicalText({ ...fields }));
    expect(sealed.id).toBe(recordId(sealed.canonical));
    expect(sealed).toMatchObject({ thread: "th_demo", clock: 3, actor: "did:sync:user:alice" });
  });
});

describe("envelopeLine", () => {
  const anyBody = fc.dictionary(
    fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("parents", ',"parents":[', "judged_by")),
    fc.jsonValue({ stringUnit: "binary" }),
  ) as fc.Arbitrary<JsonObject>;

  test("is the canonical JSON of the wire form, and is read back as the same entry", () => {
    const anyEntry = fc
      .tuple(anyBody, fc.constantFrom<string[]>([], [ID], [ID, "cd".repeat(32)]), fc.constantFrom(null, ID))
      .map(([body, parents, judgedBy]) => entryOf({ body, parents }, judgedBy));
    fc.assert(
      fc.property(anyEntry, (entry) => {
        const line = envelopeLine(entry);
        expect(line).toBe(
          canonicalText({ id: entry.id, ...(entryToEnvelope(entry) as object) } as JsonObject),
        );
        expect(parseEnvelopeLine(utf8(line))).toEqual(entry);
      }),
    );
  });

  test("shows all eight fields", () => {
    expect(entryToEnvelope(entryOf({}, ID))).toEqual({
      record: { ...fields, judged_by: ID },
      signer,
      sig: toBase64Url(sig),
    });
    expect(envelopeLine(entryOf({ parents: [] }))).toContain(',"judged_by":null,"parents":[],"thread":');
  });
});

describe("parseEnvelopeLine refuses", () => {
  const line = envelopeLine(entryOf());
  const wire = toBase64Url(sig);
  test.each([
    ["an id that is none", line.replace(/"id":"./, '"id":"g'), "id must be 64 lowercase hex digits"],
    [
      "an id that is not the hash",
      line.replace(/"id":"(.)/, (_, first) => `"id":"${first === "0" ? "1" : "0"}`),
      "id is not the record's hash",
    ],
    ["a thread beyond ASCII", line.replace('"thread":"th_', '"thread":"th_ü'), "thread must be"],
    ["a parent beyond ASCII", line.replace(`["${ID}`, `["ü${ID}`), "parents must be"],
    ["a changed record", line.replace('"clock":3', '"clock":4'), "id is not the record's hash"],
    ["white space", line.replace('"id":', '"id": '), "not the canonical form"],
    [
      "a field too many",
      line.replace('{"id"', '{"at":1,"id"'),
      "an envelope must have exactly id record sig",
    ],
    ["a field too few", line.replace(/,"signer":"[^"]*"/, ""), "an envelope must have exactly"],
    ["a record without judged_by", line.replace('"judged_by":null,', ""), "record must have exactly"],
    ["judged_by of no form", line.replace('"judged_by":null', '"judged_by":""'), "judged_by must be"],
    [
      "no record",
      line.replace(/"record":\{.*\},"sig"/, '"record":null,"sig"'),
      "record must be a JSON object",
    ],
    ["an array", `[${line}]`, "an envelope must be a JSON object"],
    ["a signer of no form", line.replace(signer, "alice"), "signer must be a DID"],
    ["a padded signature", line.replace(wire, `${wire}==`), "sig must be 64 bytes"],
    ["a signature with a space", line.replace(wire, ` ${wire.slice(1)}`), "sig must be 64 bytes"],
    [
      "a signature in plain base64",
      line.replace(wire, wire.replaceAll("-", "+").replaceAll("_", "/")),
      "sig must be",
    ],
    ["a signature with trailing bits", line.replace(wire, `${wire.slice(0, -1)}B`), "sig must be 64 bytes"],
    ["a signature of 63 bytes", line.replace(wire, wire.slice(0, -2)), "sig must be 64 bytes"],
    ["a signature that is a number", line.replace(`"${wire}"`, "1"), "sig must be 64 bytes"],
  ])("%s", (_, changed, message) => {
    expect(changed).not.toBe(line);
    expect(() => parseEnvelopeLine(utf8(changed))).toThrow(SplError);
    expect(() => parseEnvelopeLine(utf8(changed))).toThrow(message);
  });
});

test("of two envelopes the bytewise smaller signer, judged_by, signature comes first", () => {
  const other = "cd".repeat(32);
  const ordered = [
    { signer: "did:a:a", judged_by: null, sig: sig.with(0, 1) },
    { signer: "did:a:a", judged_by: null, sig: sig.with(0, 200) },
    { signer: "did:a:a", judged_by: ID, sig: sig.with(0, 0) },
    { signer: "did:a:a", judged_by: other, sig: sig.with(0, 0) },
    { signer: "did:a:b", judged_by: null, sig: sig.with(0, 0) },
  ];
  expect(ordered.toReversed().sort(compareEnvelopes)).toEqual(ordered);
  expect(compareEnvelopes(ordered[0]!, { ...ordered[0]! })).toBe(0);
});
