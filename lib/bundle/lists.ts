import { fromHex, utf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { MAX_DID_BYTES } from "../base/limits.ts";
import { certifies } from "../identity/did.ts";
import { readPublicKey } from "../identity/public_key.ts";
import { canonicalText } from "../record/canonical.ts";
import { parseCanonicalJson } from "../record/json.ts";
import { isDid } from "../record/shape.ts";
import type { JsonObject } from "../record/types.ts";
import { count, exactFields, hex32, isAscending, text, texts } from "./fields.ts";
import { blaming, malformed } from "./malformed.ts";
import { SERVICE_ACCOUNTS, SIGNERS, TOKENS } from "./members.ts";
import type { AccountLine, SignerLine, TokenLine } from "./types.ts";

/** The lists under `identity/` and `accounts/`: a canonical JSON object a line, ascending by its first field. */

const MAX_NAME = 256;
const MAX_DESCRIPTION = 1024;
/** These DIDs name their key themselves; others, such as `did:web`, are believed as far as the manifest's signature. */
const SELF_CERTIFYING = /^did:(?:sync|key):/;

export function encodeList(lines: (SignerLine | AccountLine | TokenLine)[]): Uint8Array {
  return utf8(lines.map((line) => `${canonicalText({ ...line } as JsonObject)}\n`).join(""));
}

/**
 * `identity/signers.jsonl`. A DID that certifies its key must certify this one, and no line may be `ownDid`'s.
 * @throws SplError bundle_malformed
 */
export function parseSigners(data: Uint8Array, ownDid: string): SignerLine[] {
  const signers = parseList(SIGNERS, data, (value) => {
    const line = exactFields(value, ["did", "public_key"]);
    const signer = { did: did(line.did), public_key: hex32(line, "public_key") };
    const publicKey = readPublicKey(fromHex(signer.public_key, 32)!);
    if (SELF_CERTIFYING.test(signer.did) && !certifies(signer.did, publicKey)) {
      throw malformed(SIGNERS, `public_key is not the key of ${signer.did}`);
    }
    return signer;
  });
  checkOrder(
    SIGNERS,
    signers.map((signer) => signer.did),
  );
  if (signers.some((signer) => signer.did === ownDid)) {
    throw malformed(SIGNERS, "lists the bundle's own identity");
  }
  return signers;
}

/** `accounts/service_accounts.jsonl`. @throws SplError bundle_malformed */
export function parseAccounts(data: Uint8Array): AccountLine[] {
  const accounts = parseList(SERVICE_ACCOUNTS, data, (value) => {
    const line = exactFields(value, ["actors", "name", "scopes"]);
    return {
      name: text(line, "name", 1, MAX_NAME),
      scopes: texts(line, "scopes", MAX_NAME),
      actors: texts(line, "actors", MAX_DID_BYTES).map(did),
    };
  });
  checkOrder(
    SERVICE_ACCOUNTS,
    accounts.map((account) => account.name),
  );
  return accounts;
}

/** `accounts/tokens.jsonl`, each token of one of `accounts`. @throws SplError bundle_malformed */
export function parseTokens(data: Uint8Array, accounts: AccountLine[]): TokenLine[] {
  const names = new Set(accounts.map((account) => account.name));
  const tokens = parseList(TOKENS, data, (value) => {
    const line = exactFields(value, ["account", "description", "expires_at", "token_sha256"]);
    const account = text(line, "account", 1, MAX_NAME);
    if (!names.has(account))
      throw malformed(TOKENS, `a token belongs to ${JSON.stringify(account)}, which is no account`);
    return {
      token_sha256: hex32(line, "token_sha256"),
      account,
      description: text(line, "description", 0, MAX_DESCRIPTION),
      expires_at: line.expires_at === null ? null : count(line, "expires_at"),
    };
  });
  checkOrder(
    TOKENS,
    tokens.map((token) => token.token_sha256),
  );
  return tokens;
}

function parseList<T>(path: string, data: Uint8Array, read: (value: JsonObject) => T): T[] {
  const lines: T[] = [];
  for (let at = 0; at < data.length; ) {
    const end = data.indexOf(0x0a, at);
    if (end < 0) throw malformed(path, "its last line has no end");
    const line = data.subarray(at, end);
    lines.push(blaming(path, () => read(parseCanonicalJson(line) as JsonObject)));
    at = end + 1;
  }
  return lines;
}

function did(value: unknown): string {
  if (isDid(value)) return value;
  throw new SplError("invalid_json", `${JSON.stringify(value)} is not a DID`);
}

function checkOrder(path: string, keys: string[]): void {
  if (!isAscending(keys)) throw malformed(path, "its lines are not in ascending order, each once");
}
