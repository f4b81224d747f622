import { concatBytes, fromHex, toBase64Url, utf8 } from "../base/bytes.ts";
import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { nextTurn } from "../base/turn.ts";
import type { AccountLine, Manifest, SignerLine, TokenLine } from "../bundle/types.ts";
import { certifies } from "../identity/did.ts";
import { canonicalBytes } from "../record/canonical.ts";
import type { InsertResult, Writer } from "../store/types.ts";
import { type Inspection, inspectBundle } from "./inspect.ts";
import type { Signer } from "./instance.ts";
import type { Spool } from "./spool.ts";
import type { ImportReceipt } from "./types.ts";

/** What importing a bundle and restoring one have in common: everything is checked and spooled, then written at once. */

/** What a bundle holds besides its records, gathered while it streams. */
export interface Contents {
  seed: Uint8Array | null;
  signers: SignerLine[];
  accounts: AccountLine[];
  tokens: TokenLine[];
}

export interface Received {
  inspection: Inspection;
  contents: Contents;
  spool: Spool;
}

export interface ReceiveRules {
  /** Check each of the identity's own signatures as well. */
  deep: boolean;
  /** Called first; throws to read no further. Says whether it is the bundle of another identity than the instance will have. */
  onManifest: (manifest: Manifest) => { foreign: boolean } | Promise<{ foreign: boolean }>;
}

/** What was done to who may call: accounts that existed and stayed, tokens that are new here. */
export interface Access {
  kept: string[];
  tokens: number;
}

/**
 * Reads a bundle to its end, checks all of it and spools its records. Nothing is written but the spool.
 * @throws SplError bundle_malformed, verification_failed, disk_full
 */
export async function receiveBundle(
  input: AsyncIterable<Uint8Array>,
  spool: Spool,
  { deep, onManifest }: ReceiveRules,
): Promise<Received> {
  const contents: Contents = { seed: null, signers: [], accounts: [], tokens: [] };
  let foreign = true;
  const inspection = await inspectBundle(input, {
    // Vouching for one's own signatures is for who this instance is, not for a stranger: a false one taken in here
    // would make each later export of this instance be refused.
    deep: () => deep || foreign,
    onEvent: async (event) => {
      if (event.kind === "manifest") ({ foreign } = await onManifest(event.manifest));
      else if (event.kind === "identity") contents.seed = event.seed;
      else if (event.kind === "signers") {
        if (foreign) refuseUnproven(event.signers);
        contents.signers = event.signers;
      } else if (event.kind === "accounts") {
        contents.accounts = event.accounts;
        contents.tokens = event.tokens ?? [];
      } else if (event.kind === "group") spool.write(event.thread, event.entries);
    },
  });
  return { inspection, contents, spool };
}

/** Inserts all records of a received bundle. */
export async function insertReceived(
  writer: Writer,
  { inspection: { manifest }, contents, spool }: Received,
): Promise<InsertResult> {
  const sum: InsertResult = { inserted: 0, deduplicated: 0, replaced: 0 };
  await writer.putSigner({ did: manifest.source_did, publicKey: fromHex(manifest.public_key, 32)! });
  for (const { did, public_key } of contents.signers) {
    await writer.putSigner({ did, publicKey: fromHex(public_key, 32)! });
  }
  for (const entries of spool.groups()) {
    // Lets the collector take the group before: without a turn of the event loop nothing is given back.
    await nextTurn();
    const result = await writer.insert(entries);
    sum.inserted += result.inserted;
    sum.deduplicated += result.deduplicated;
    sum.replaced += result.replaced;
  }
  return sum;
}

/**
 * Adds accounts and tokens; those of a name that exists stay as they are, so that no scope is ever widened.
 * @param batch number of the import that brings them; null where there is nothing to go back to
 */
export async function addAccess(
  writer: Writer,
  { accounts, tokens }: Pick<Contents, "accounts" | "tokens">,
  now: number,
  batch: number | null,
): Promise<Access> {
  const kept = new Set<string>();
  let added = 0;
  const asService = { kind: "service", description: "", createdAt: 0, revokedAt: null } as const;
  for (const account of accounts) {
    if (!(await writer.addAccount({ ...account, ...asService }, batch))) kept.add(account.name);
  }
  for (const { token_sha256, account, description, expires_at } of tokens) {
    if (kept.has(account)) continue;
    const token = {
      hash: fromHex(token_sha256, 32)!,
      account,
      description,
      createdAt: now,
      expiresAt: expires_at,
      lastUsedAt: null,
      kind: "bearer" as const,
      revokedAt: null,
      tradedFor: null,
    };
    if (await writer.addToken(token, batch)) added++;
  }
  return { kept: [...kept], tokens: added };
}

/** Says what the instance holds after its commit; signed by who it is then. */
export function makeReceipt(
  by: Signer,
  { source_did, records_root }: Manifest,
  { inserted, deduplicated }: { inserted: number; deduplicated: number },
  { digest, records }: { digest: string; records: number },
  at: number,
): ImportReceipt {
  const facts = {
    source_did,
    destination_did: by.did,
    records_root,
    digest,
    records,
    inserted,
    deduplicated,
    imported_at: isoTime(at),
  };
  const message = concatBytes(utf8("syncropel-receipt-v1:"), canonicalBytes(facts));
  return { ...facts, sig: toBase64Url(by.key.sign(message)) };
}

/** @param verb what is refused: `import` or `restore` */
export function checkExpected({ source_did }: Manifest, expectDid: string | null, verb: string): void {
  if (expectDid === null || expectDid === source_did) return;
  throw new SplError(
    "did_mismatch",
    `${verb} refused: this is a bundle of ${source_did}, not of ${expectDid}`,
    {
      hint: `check which file you meant; leave out --expect-did to ${verb} it anyway`,
    },
  );
}

/**
 * A DID such as `did:web` does not certify its key. One's own bundle is believed, a stranger's is not: it could have
 * signed anything in that name.
 */
function refuseUnproven(signers: SignerLine[]): void {
  const unproven = signers.find(({ did, public_key }) => !certifies(did, fromHex(public_key, 32)!));
  if (unproven === undefined) return;
  throw new SplError("verification_failed", `import refused: nothing proves the key of ${unproven.did}`, {
    hint: "nothing was changed; a bundle brings such signers only along with its identity",
  });
}
