import { describe, expect, test } from "bun:test";
import type { SplError } from "../../lib/base/errors.ts";
import { nobleEd25519 } from "../../lib/identity/ed25519.noble.ts";
import { ed25519 } from "../../lib/identity/ed25519.ts";
import { readPublicKey } from "../../lib/identity/public_key.ts";
import { vectorJson, vectorLines } from "./vectors.ts";

const hex = (text: string) => Uint8Array.fromHex(text);

/** The verdict of both verifiers, which must be one. */
function verdict(sig: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  const native = ed25519.verify(sig, message, publicKey);
  expect(nobleEd25519.verify(sig, message, publicKey)).toBe(native);
  return native;
}

function isRefused(publicKey: Uint8Array): boolean {
  try {
    readPublicKey(publicKey);
    return false;
  } catch (error) {
    expect((error as SplError).code).toBe("key_damaged");
    return true;
  }
}

describe("RFC 8032, section 7.1", () => {
  const rows = vectorJson<{ priv: string; pub: string; msg: string; sig: string }[]>(
    "ed25519/rfc8032-ed25519.json",
  );

  test.each(rows)("key $pub", ({ priv, pub, msg, sig }) => {
    for (const provider of [ed25519, nobleEd25519]) {
      expect(provider.publicKey(hex(priv))).toEqual(hex(pub));
      expect(provider.sign(hex(msg), hex(priv))).toEqual(hex(sig));
    }
    expect(readPublicKey(hex(pub))).toEqual(hex(pub));
    expect(verdict(hex(sig), hex(msg), hex(pub))).toBe(true);
    expect(verdict(hex(sig), hex(`${msg}00`), hex(pub))).toBe(false);
  });
});

describe("CCTV", () => {
  interface Row {
    number: number;
    key: string;
    sig: string;
    msg: string;
    flags: string[] | null;
  }
  const rows = vectorLines<Row>("ed25519/cctv-ed25519vectors.jsonl");
  /** Each of these breaks a rule of the policy; a torsion component in A or R alone breaks none. */
  const breaking = ["low_order_A", "non_canonical_A", "non_canonical_R", "low_order_residue", "reencoded_k"];

  test("the policy decides each vector by its flags, and both verifiers agree", () => {
    expect(rows.length).toBe(457);
    const wrong = rows.filter(({ key, sig, msg, flags }) => {
      const valid = verdict(hex(sig), new TextEncoder().encode(msg), hex(key));
      return valid !== !breaking.some((flag) => flags?.includes(flag));
    });
    expect(wrong).toEqual([]);
  });

  test("small-order and non-canonical public keys are refused where a key is read", () => {
    const wrong = rows.filter(({ key, flags }) => {
      const refusable = flags?.includes("low_order_A") || flags?.includes("non_canonical_A");
      return isRefused(hex(key)) !== Boolean(refusable);
    });
    expect(wrong).toEqual([]);
  });
});

describe("Wycheproof", () => {
  interface Group {
    publicKey: { pk: string };
    tests: { tcId: number; comment: string; msg: string; sig: string; result: "valid" | "invalid" }[];
  }
  const { testGroups } = vectorJson<{ testGroups: Group[] }>("ed25519/wycheproof-ed25519_test.json");
  const rows = testGroups.flatMap(({ publicKey, tests }) =>
    tests.map((row) => ({ pk: publicKey.pk, ...row })),
  );

  test("every verdict is the expected one", () => {
    expect(rows.length).toBe(151);
    const wrong = rows.filter(({ pk, msg, sig, result }) => {
      return verdict(hex(sig), hex(msg), hex(pk)) !== (result === "valid");
    });
    expect(wrong).toEqual([]);
  });

  test("a signature is 64 bytes, no more and no less", () => {
    const { pk, msg, sig } = rows.find(({ result, msg }) => result === "valid" && msg !== "")!;
    expect(verdict(hex(sig), hex(msg), hex(pk))).toBe(true);
    for (const wrong of ["", sig.slice(0, 126), `${sig}00`, `${sig}${sig}`]) {
      expect(verdict(hex(wrong), hex(msg), hex(pk))).toBe(false);
    }
    for (const wrong of ["", pk.slice(0, 62), `${pk}00`]) {
      expect(verdict(hex(sig), hex(msg), hex(wrong))).toBe(false);
    }
  });
});
