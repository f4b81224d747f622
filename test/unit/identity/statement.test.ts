import { describe, expect, test } from "bun:test";
import { verify } from "node:crypto";
import { toHex } from "../../../lib/base/bytes.ts";
import type { SplError } from "../../../lib/base/errors.ts";
import { publicKeyPem } from "../../../lib/identity/key.ts";
import {
  compareStatements,
  compareStewards,
  readStatement,
  type Statement,
  signStatement,
} from "../../../lib/identity/statement.ts";
import type { Json } from "../../../lib/record/types.ts";
import { testSigner } from "../../kit/records.ts";

const NOW = Date.parse("2026-03-01T12:00:00.000Z");
const DAY = 24 * 60 * 60 * 1000;
const own = testSigner(1);
const other = testSigner(2);

const FIELDS: Omit<Statement, "sig"> = {
  did: own.did,
  public_key: toHex(own.key.publicKey),
  url: "https://a.example/base",
  steward_id: "0123456789abcdef0123456789abcdef",
  epoch: NOW,
  issued_at: "2026-03-01T12:00:00.000Z",
  revoked: false,
};

const signed = (fields: Partial<Omit<Statement, "sig">> = {}, key = own.key) =>
  signStatement({ ...FIELDS, ...fields }, key);
const read = (value: unknown, now = NOW) => readStatement(value as Json, now);
const refusal = (value: unknown, now = NOW): string => {
  try {
    read(value, now);
  } catch (error) {
    expect((error as SplError).code).toBe("statement_refused");
    return (error as SplError).message.replace("the endpoint statement is refused: ", "");
  }
  return "none";
};

describe("a statement", () => {
  test("is read back as it was signed", () => expect(read(signed())).toEqual(signed()));

  test("is signed over prefix and sorted JSON, as openssl would check it", () => {
    const { sig, ...fields } = signed();
    const sorted = Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));
    const message = `syncropel-statement-v1:${JSON.stringify(sorted)}`;
    const key = publicKeyPem(own.key.publicKey);
    expect(verify(null, Buffer.from(message), key, Buffer.from(sig, "base64url"))).toBe(true);
  });

  test("may name no URL, and an end", () => {
    expect(read(signed({ url: null })).url).toBeNull();
    expect(read(signed({ revoked: true })).revoked).toBe(true);
  });

  test("each field is covered by the signature", () => {
    const changed: Partial<Statement>[] = [
      { url: "https://b.example" },
      { url: null },
      { steward_id: "f".repeat(32) },
      { epoch: NOW + 1 },
      { issued_at: "2026-03-01T12:00:00.001Z" },
      { revoked: true },
    ];
    for (const change of changed) {
      expect({ change, why: refusal({ ...signed(), ...change }) }).toEqual({
        change,
        why: "its signature is wrong",
      });
    }
  });

  test("of another one's key is refused, whoever signed it", () => {
    const why = `its key is not the key of ${own.did}`;
    expect(refusal(signed({ public_key: toHex(other.key.publicKey) }, other.key))).toBe(why);
    expect(refusal(signed({}, other.key))).toBe("its signature is wrong");
    expect(refusal({ ...signed(), did: other.did })).toBe(`its key is not the key of ${other.did}`);
  });

  test("of a DID that proves no key is refused", () => {
    expect(refusal(signed({ did: "did:web:a.example" }))).toBe("its key is not the key of did:web:a.example");
  });

  test("of a key for which anyone could sign is refused", () => {
    expect(refusal(signed({ public_key: `01${"00".repeat(31)}` }))).toBe(
      "its key is one that no verifier accepts",
    );
  });

  test("may lie 24 hours ahead and not a millisecond more", () => {
    expect(read(signed({ epoch: NOW + DAY })).epoch).toBe(NOW + DAY);
    expect(refusal(signed({ epoch: NOW + DAY + 1 }))).toStartWith("its epoch lies more than 24 hours ahead");
    expect(refusal(signed({ epoch: NOW + DAY + 1, revoked: true }))).toStartWith("its epoch lies");
  });
});

describe("what is no statement", () => {
  const without = ({ sig: _, ...rest }: Statement) => rest;
  test.each([
    ["null", null],
    ["a list", [signed()]],
    ["a text", JSON.stringify(signed())],
  ])("%s", (_, value) => expect(refusal(value)).toBe("it is no object"));

  test.each([
    ["one without a signature", without(signed())],
    ["one with a field more", { ...signed(), name: "a" }],
    ["one with a field of another name", { ...without(signed()), signature: signed().sig }],
    ["a short key", { ...signed(), public_key: "00" }],
    ["a key in capitals", { ...signed(), public_key: FIELDS.public_key.toUpperCase() }],
    ["a steward of another length", { ...signed(), steward_id: "00" }],
    ["a text as epoch", { ...signed(), epoch: "1" }],
    ["a negative epoch", { ...signed(), epoch: -1 }],
    ["a fraction as epoch", { ...signed(), epoch: 1.5 }],
    ["an epoch that is not exact", { ...signed(), epoch: 2 ** 53 }],
    ["a time of another form", { ...signed(), issued_at: "2026-03-01T12:00:00Z" }],
    ["a time with a line feed", { ...signed(), issued_at: "2026-03-01T12:00:00.000Z\n" }],
    ["a number as revocation", { ...signed(), revoked: 1 }],
    ["a padded signature", { ...signed(), sig: `${signed().sig}==` }],
    ["a cut signature", { ...signed(), sig: signed().sig.slice(1) }],
  ])("%s", (_, value) => expect(refusal(value)).toBe("its fields are not those of a statement"));

  test.each([
    "ftp://a.example",
    "file:///etc/passwd",
    "https://user@a.example",
    "https://user:secret@a.example",
    "https://a.example/",
    "https://a.example/?q",
    "https://a.example#f",
    "https://a.example?",
    "https://A.example",
    "https://a.example:443",
    "https://a.example/b/",
    "https://a.example/../b",
    " https://a.example",
    "a.example",
    "",
    `https://a.example/${"a".repeat(2048)}`,
  ])("one that names %j", (url) =>
    expect(refusal(signed({ url }))).toBe("its fields are not those of a statement"),
  );
});

describe("the order", () => {
  const at = (epoch: number, steward_id = "a", revoked = false) => ({
    ...signed(),
    epoch,
    steward_id,
    revoked,
  });
  const ascending = [at(1, "f"), at(2, "a"), at(2, "b"), at(3, "a"), at(1, "a", true), at(2, "0", true)];

  test("a revocation first, then epoch, then steward", () => {
    for (const [i, a] of ascending.entries()) {
      for (const [j, b] of ascending.entries()) {
        expect(Math.sign(compareStatements(a, b))).toBe(Math.sign(i - j));
      }
    }
  });

  test("of one home at one epoch, what was said last", () => {
    const [first, later] = [
      signed({ url: "https://z.example" }),
      signed({ url: "https://a.example", issued_at: "2026-03-01T12:00:00.001Z" }),
    ];
    expect(compareStatements(first, later)).toBeLessThan(0);
    expect(compareStatements(later, first)).toBeGreaterThan(0);
    expect(compareStatements(first, { ...first })).toBe(0);
    // Who is the steward is not a matter of who spoke last.
    expect(compareStewards(first, later)).toBe(0);
    expect(compareStewards(first, signed({ epoch: NOW + 1 }))).toBeLessThan(0);
  });
});
