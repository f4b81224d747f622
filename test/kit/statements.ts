import { toHex } from "../../lib/base/bytes.ts";
import { type Statement, signStatement } from "../../lib/identity/statement.ts";
import { type TestSigner, testSigner } from "./records.ts";

/** A signed endpoint statement; what is not given is of a home at https://a.example, from now. */
export function statementOf(
  fields: Partial<Omit<Statement, "sig">> = {},
  signer: TestSigner = testSigner(1),
): Statement {
  const now = fields.epoch ?? Date.now();
  const defaults = {
    did: signer.did,
    public_key: toHex(signer.key.publicKey),
    url: "https://a.example",
    steward_id: "a".repeat(32),
    epoch: now,
    issued_at: new Date(now).toISOString(),
    revoked: false,
  };
  return signStatement({ ...defaults, ...fields }, signer.key);
}
