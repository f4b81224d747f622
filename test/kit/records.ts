import { instanceDid } from "../../lib/identity/did.ts";
import { type KeyPair, keyFromSeed } from "../../lib/identity/key.ts";
import { signRecord } from "../../lib/identity/record_signature.ts";
import { compareEnvelopes, sealEntry } from "../../lib/record/envelope.ts";
import type { Entry, HashedFields } from "../../lib/record/types.ts";

/** An instance's identity for tests; the same number gives the same key. */
export interface TestSigner {
  key: KeyPair;
  did: string;
}

export function testSigner(n: number, name = "local"): TestSigner {
  const key = keyFromSeed(new Uint8Array(32).fill(n));
  return { key, did: instanceDid(name, key.publicKey) };
}

/** A signed record; what is not given is `INTEND {}` by alice at clock 0 of th_a without parents. */
export function makeEntry(
  fields: Partial<HashedFields> = {},
  { signer = testSigner(1), judgedBy = null }: { signer?: TestSigner; judgedBy?: string | null } = {},
): Entry {
  const sealed = sealEntry({
    parents: [],
    thread: "th_a",
    actor: "did:sync:user:alice",
    act: "INTEND",
    body: {},
    clock: 0,
    data_type: "SCALAR",
    ...fields,
  });
  const sig = signRecord(sealed.id, judgedBy, signer.did, signer.key);
  return { ...sealed, judged_by: judgedBy, signer: signer.did, sig };
}

/** Who signs rivals. */
export const RIVALS: readonly TestSigner[] = [testSigner(1), testSigner(2)];

/** One record in two valid envelopes, the smaller first: that is the one that every instance keeps in the end. */
export function rivals(fields: Partial<HashedFields>): [Entry, Entry] {
  const [one, other] = RIVALS.map((signer) => makeEntry(fields, { signer })) as [Entry, Entry];
  return compareEnvelopes(one, other) < 0 ? [one, other] : [other, one];
}
