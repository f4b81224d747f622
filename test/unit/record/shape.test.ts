import { describe, expect, test } from "bun:test";
import { utf8 } from "../../../lib/base/bytes.ts";
import { SplError } from "../../../lib/base/errors.ts";
import { MAX_BODY_BYTES, MAX_RECORD_BYTES } from "../../../lib/base/limits.ts";
import { canonicalBytes } from "../../../lib/record/canonical.ts";
import { recordId } from "../../../lib/record/id.ts";
import { parseJson } from "../../../lib/record/json.ts";
import {
  checkCanonicalRecord,
  isDid,
  parseCanonicalRecord,
  parseEmission,
} from "../../../lib/record/shape.ts";
import {
  ACTS,
  DATA_TYPES,
  type HashedFields,
  type Json,
  type JsonObject,
} from "../../../lib/record/types.ts";

const ID = "ab".repeat(32);
const fields: HashedFields = {
  act: "KNOW",
  actor: "did:sync:user:alice",
  body: { text: "hello" },
  clock: 7,
  data_type: "SCALAR",
  parents: [ID],
  thread: "th_demo",
};
const emission = { thread: "th_demo", act: "KNOW", body: { text: "hello" } };
const ids = (n: number) => Array.from({ length: n }, (_, i) => i.toString(16).padStart(64, "0"));

function nest(levels: number): JsonObject {
  let body: JsonObject = {};
  for (let level = 1; level < levels; level++) body = { a: body };
  return body;
}

/** A body of exactly this many canonical bytes. */
const bodyOf = (size: number): JsonObject => ({ text: "x".repeat(size - '{"text":""}'.length) });

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (!(error instanceof SplError)) throw error;
    expect(error.code).toBe("invalid_record");
    return error.message;
  }
  throw new Error("nothing was refused");
}

/** A record that was read already, so large that its body has to be measured. */
const checked = (value: unknown) => checkCanonicalRecord(value as Json, MAX_BODY_BYTES + 1);

/** Every way in: the parsers must agree on each field's rule. */
function refusals(change: { [field: string]: unknown }): string[] {
  return [
    refusal(() => checked({ ...fields, ...change })),
    refusal(() => parseEmission({ ...emission, ...change })),
  ];
}

describe("values that a field may have", () => {
  test.each([
    ["the shortest thread", { thread: "th_a" }],
    ["the longest thread", { thread: `th_${"Az09_-".repeat(30).slice(0, 128)}` }],
    ["a long DID", { actor: `did:web:${"a".repeat(248)}` }],
    ["a DID with escapes and colons", { actor: "did:example:a:b::c%3A%2f._-" }],
    ["no parents", { parents: [] }],
    ["64 parents", { parents: ids(64) }],
    ["clock 0", { clock: 0 }],
    ["the highest clock", { clock: Number.MAX_SAFE_INTEGER }],
    ["an empty body", { body: {} }],
    ["a body of 64 levels", { body: nest(64) }],
    ["a body of one mebibyte", { body: bodyOf(MAX_BODY_BYTES) }],
    ["a body of a mebibyte that escapes", { body: { text: "\u0001".repeat(170_000) } }],
    ["keys that mean something to JavaScript", { body: parseJson(utf8('{"__proto__":1,"toJSON":2}')) }],
    ["a date that does not exist", { body: { at: "2025-02-30T25:61:00Z" } }],
    ...ACTS.map((act) => [act, { act }] as const),
    ...DATA_TYPES.map((data_type) => [data_type, { data_type }] as const),
  ])("%s", (_, change) => {
    const record = { ...fields, ...change } as HashedFields;
    expect(checked(record)).toEqual(record);
    expect(parseCanonicalRecord(canonicalBytes({ ...record }))).toEqual(record);
    expect(parseEmission({ ...emission, ...change })).toMatchObject(change);
  });
});

describe("values that a field may not have", () => {
  const THREAD = "thread must be th_ and then 1 to 128 of A-Z a-z 0-9 _ -";
  const ACTOR = "actor must be a DID of at most 256 bytes";
  const CLOCK = "clock must be an integer from 0 to 2^53 - 1";
  const rows: [{ [field: string]: unknown }, string][] = [
    [{ thread: "th_" }, THREAD],
    [{ thread: `th_${"a".repeat(129)}` }, THREAD],
    [{ thread: "th_a/../b" }, THREAD],
    [{ thread: "th_a\n" }, THREAD],
    [{ thread: "th_ü" }, THREAD],
    [{ thread: "TH_a" }, THREAD],
    [{ actor: "alice" }, ACTOR],
    [{ actor: "did:web:" }, ACTOR],
    [{ actor: "did:Web:a" }, ACTOR],
    [{ actor: "did:web:a:" }, ACTOR],
    [{ actor: "did:web:a%zz" }, ACTOR],
    [{ actor: "did:web:a#key" }, ACTOR],
    [{ actor: "did:web:a/path" }, ACTOR],
    [{ actor: "did:web:ü" }, ACTOR],
    [{ actor: 'did:web:a"' }, ACTOR],
    [{ actor: "did:web:a\n" }, ACTOR],
    [{ actor: `did:web:${"a".repeat(249)}` }, ACTOR],
    [{ act: "know" }, "act must be one of INTEND DO KNOW LEARN GET PUT CALL MAP"],
    [{ data_type: "VECTOR" }, "data_type must be one of SCALAR FORMULA DISTRIBUTION REFERENCE MORPHISM VOID"],
    [{ clock: -1 }, CLOCK],
    [{ clock: 1.5 }, CLOCK],
    [{ clock: 2 ** 53 }, CLOCK],
    [{ clock: "7" }, CLOCK],
    [{ parents: ids(65) }, "parents must be at most 64, not 65"],
    [{ parents: [ID.toUpperCase()] }, "parents must be record ids: 64 lowercase hex digits"],
    [{ parents: [ID.slice(1)] }, "parents must be record ids: 64 lowercase hex digits"],
    [{ parents: { 0: ID, length: 1 } }, "parents must be an array of record ids"],
    [{ body: [] }, "body must be a JSON object"],
    [{ body: "text" }, "body must be a JSON object"],
    [{ body: bodyOf(MAX_BODY_BYTES + 1) }, "body has at most 1048576 canonical bytes, not 1048577"],
    [{ body: { "": "\u0001".repeat(174_762) } }, "body has at most 1048576 canonical bytes, not 1048579"],
    [{ id: ID }, 'unknown field "id"'],
  ];
  test.each(rows.map(([change, message]) => [message, change] as const))("%# %s", (message, change) =>
    expect(refusals(change)).toEqual([message, message]),
  );

  test.each([
    [nest(65), "body has at most 64 nested levels"],
    [{ n: Number.NaN }, "body holds NaN, which is no JSON value"],
    [{ n: undefined }, "body holds undefined, which is no JSON value"],
    [{ n: Symbol("n") }, "body holds Symbol(n), which is no JSON value"],
    [{ at: new Date(0) }, "body must be plain JSON"],
    [{ "\ud800": 1 }, "body holds a lone surrogate"],
  ])("%# a body that no record's JSON text is read as", (body, message) =>
    expect(refusal(() => parseEmission({ ...emission, body }))).toBe(message),
  );

  test("every field is checked for its type, whatever it holds instead", () => {
    const confusions: unknown[] = [null, true, 0, "", [], {}, [[]], [null], -1, "\0", { length: 1 }];
    for (const field of Object.keys(fields)) {
      for (const wrong of confusions) {
        if (field === "body" && JSON.stringify(wrong).startsWith("{")) continue;
        if (field === "clock" && wrong === 0) continue;
        if (field === "parents" && JSON.stringify(wrong) === "[]") continue;
        for (const message of refusals({ [field]: wrong })) expect(message).toStartWith(`${field} must be `);
      }
    }
    for (const wrong of [...confusions, undefined, () => 0]) {
      expect(() => checked(wrong)).toThrow(SplError);
      expect(() => parseEmission(wrong)).toThrow(SplError);
    }
  });
});

describe("checkCanonicalRecord", () => {
  test.each(Object.keys(fields))("needs %s", (field) => {
    const { [field as "act"]: _, ...rest } = fields;
    expect(refusal(() => checked(rest))).toBe(`${field} is missing`);
  });

  test("takes no eighth field, judged_by among them", () => {
    expect(refusal(() => checked({ ...fields, judged_by: null }))).toBe('unknown field "judged_by"');
    const own = JSON.parse(`{"__proto__":{},${JSON.stringify(fields).slice(1)}`);
    expect(refusal(() => checked(own))).toBe('unknown field "__proto__"');
    expect(refusal(() => checked(Object.create(fields)))).toBe("act is missing");
  });

  test("does not sort parents, nor drop repetitions", () => {
    const message = "parents must be in ascending order, each once";
    const [a, b] = ids(2) as [string, string];
    expect(refusal(() => checked({ ...fields, parents: [b, a] }))).toBe(message);
    expect(refusal(() => checked({ ...fields, parents: [a, a] }))).toBe(message);
  });
});

describe("parseCanonicalRecord", () => {
  const text = JSON.stringify(fields);
  const { clock: _, ...rest } = fields;

  test.each([
    ["white space", ` ${text}`, "invalid_json"],
    ["another order", JSON.stringify({ clock: 7, ...rest }), "invalid_json"],
    ["-0", text.replace(":7", ":-0"), "invalid_json"],
    ["a repeated field", text.replace("{", '{"act":"KNOW",'), "invalid_json"],
    ["a line feed behind it", `${text}\n`, "invalid_json"],
    ["an unknown field", text.replace('"clock"', '"claim":1,"clock"'), "invalid_record"],
    ["an array", `[${text}]`, "invalid_record"],
  ])("refuses %s", (_, changed, code) => {
    expect(() => parseCanonicalRecord(utf8(changed))).toThrow(SplError);
    expect(() => parseCanonicalRecord(utf8(changed))).toThrow(expect.objectContaining({ code }));
  });

  test("counts the levels of the body, not those around it", () => {
    const deep = (levels: number) => canonicalBytes({ ...fields, body: nest(levels) });
    expect(() => parseCanonicalRecord(deep(64))).not.toThrow();
    expect(() => parseCanonicalRecord(deep(65))).toThrow("more than 65 nested levels");
  });

  test("bounds the body and the whole record", () => {
    const sized = (size: number) => canonicalBytes({ ...fields, body: bodyOf(size) });
    expect(() => parseCanonicalRecord(sized(MAX_BODY_BYTES))).not.toThrow();
    expect(refusal(() => parseCanonicalRecord(sized(MAX_BODY_BYTES + 1)))).toBe(
      "body has at most 1048576 canonical bytes, not 1048577",
    );
    expect(refusal(() => parseCanonicalRecord(new Uint8Array(MAX_RECORD_BYTES + 1)))).toBe(
      `a record has at most ${MAX_RECORD_BYTES} bytes, not ${MAX_RECORD_BYTES + 1}`,
    );
  });

  test("the largest record that the rules allow is within the bound", () => {
    const largest = {
      ...fields,
      actor: `did:web:${"a".repeat(248)}`,
      body: bodyOf(MAX_BODY_BYTES),
      clock: Number.MAX_SAFE_INTEGER,
      data_type: "DISTRIBUTION",
      parents: ids(64),
      thread: `th_${"a".repeat(128)}`,
    };
    expect(() => parseCanonicalRecord(canonicalBytes(largest))).not.toThrow();
  });
});

describe("parseEmission", () => {
  test("assigns what can be assigned without the store, and leaves out the rest", () => {
    expect(parseEmission({ ...emission })).toEqual({
      thread: "th_demo",
      act: "KNOW",
      body: { text: "hello" },
      data_type: "SCALAR",
      judged_by: null,
    });
  });

  test("sorts parents and drops repetitions before it counts them", () => {
    const [a, b] = ids(2) as [string, string];
    expect(parseEmission({ ...emission, parents: [b, a, b] }).parents).toEqual([a, b]);
    expect(parseEmission({ ...emission, parents: [...ids(64), ...ids(64)] }).parents).toEqual(ids(64));
  });

  test("judged_by is a record id or null", () => {
    expect(parseEmission({ ...emission, judged_by: ID }).judged_by).toBe(ID);
    for (const judged_by of ["", ID.slice(1), 1, {}]) {
      expect(refusal(() => parseEmission({ ...emission, judged_by }))).toBe(
        "judged_by must be a record id or null",
      );
    }
  });

  test.each(["thread", "act", "body"])("needs %s", (field) => {
    const { [field as "act"]: _, ...rest } = emission;
    expect(refusal(() => parseEmission(rest))).toBe(`${field} is missing`);
  });

  test("a field given as null is not a field left out", () => {
    expect(refusal(() => parseEmission({ ...emission, clock: null }))).toStartWith("clock must be ");
    expect(refusal(() => parseEmission({ ...emission, actor: null }))).toStartWith("actor must be ");
  });

  test("every spelling of a number gives the same id", () => {
    const idOf = (n: string) => {
      const { body } = parseEmission(
        parseJson(utf8(`{"act":"KNOW","thread":"th_demo","body":{"n":${n}}}`)) as Json,
      );
      return recordId(canonicalBytes({ ...fields, body }));
    };
    expect(new Set(["1", "1.0", "1E0", "0.1e1", "10e-1"].map(idOf)).size).toBe(1);
    expect(idOf("-0")).toBe(idOf("0"));
    expect(idOf("1")).not.toBe(idOf("2"));
  });
});

test("isDid takes one megabyte in no time", () => expect(isDid(`did:a:${":".repeat(1 << 20)}`)).toBe(false));
