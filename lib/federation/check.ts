import { equalBytes, fromHex, fromUtf8 } from "../base/bytes.ts";
import { SplError } from "../base/errors.ts";
import { Breath } from "../base/turn.ts";
import { certifies, didWebUrl } from "../identity/did.ts";
import { verifyEntryAside } from "../identity/record_signature.ts";
import { knownStatement } from "../instance/steward.ts";
import { parseEnvelopeLine } from "../record/envelope.ts";
import type { Entry } from "../record/types.ts";
import type { Reader, Signer, Store } from "../store/types.ts";
import type { ReceivedPage } from "./page.ts";
import { Refusals } from "./refusals.ts";
import type { KeyLookup } from "./signer_keys.ts";

/** What of a page may be stored as far as the page itself tells. */
export interface CheckedPage {
  entries: Entry[];
  /** Those who signed them. */
  signers: Signer[];
  /** Records that are here already in the same envelope. */
  known: number;
  /** Ids of all records of the page, refused ones included. */
  seen: Set<string>;
  refused: Refusals;
  /** Ids of those refused whose signer's key may be found another time. */
  owed: string[];
}

/**
 * Hash, shape, key and signature of every record of a page, outside any transaction. What does not hold is counted
 * by reason and left out.
 * @param lookUp finds keys that neither this instance nor the signer's DID tells
 * @param asked ids that were asked for; null for what came of itself
 */
export async function checkPage(
  store: Store,
  peer: string,
  page: ReceivedPage,
  lookUp: KeyLookup,
  asked: ReadonlySet<string> | null = null,
): Promise<CheckedPage> {
  const refused = new Refusals();
  const seen = new Set<string>();
  const parsed = await parseAll(page, asked, seen, refused);
  const { fresh, keys } = await store.read(async (reader) => ({
    fresh: await withoutKnown(reader, parsed),
    keys: await keysOf(reader, peer, page, new Set(parsed.map((entry) => entry.signer))),
  }));
  const unproven = fresh.map(({ signer }) => signer).filter((did) => !keys.has(did));
  if (unproven.length > 0) for (const [did, key] of await lookUp(unproven)) keys.set(did, key);
  // All at once: the engine's threads work on them while the page before is being stored.
  const valid = await Promise.all(
    fresh.map((entry) => {
      const key = keys.get(entry.signer);
      return key === undefined ? null : verifyEntryAside(entry, key);
    }),
  );
  const entries: Entry[] = [];
  const owed: string[] = [];
  for (const [i, entry] of fresh.entries()) {
    if (valid[i] === true) entries.push(entry);
    else refused.add(valid[i] === null ? "unknown_signer" : "signature", entry.id);
    if (valid[i] === null && didWebUrl(entry.signer) !== null) owed.push(entry.id);
  }
  const used = new Set(entries.map((entry) => entry.signer));
  const signers = [...used].map((did) => ({ did, publicKey: keys.get(did)! }));
  return { entries, signers, known: parsed.length - fresh.length, seen, refused, owed };
}

async function parseAll(
  page: ReceivedPage,
  asked: ReadonlySet<string> | null,
  seen: Set<string>,
  refused: Refusals,
): Promise<Entry[]> {
  const breath = new Breath();
  const entries = new Map<string, Entry>();
  for (const line of page.envelopes) {
    await breath.take();
    try {
      const entry = parseEnvelopeLine(line);
      seen.add(entry.id);
      if (asked && !asked.has(entry.id)) refused.add("not_asked_for", entry.id);
      else entries.set(entry.id, entry);
    } catch (error) {
      if (!(error instanceof SplError)) throw error;
      const id = statedId(line);
      seen.add(id);
      refused.add(error.detail?.hash === undefined ? "malformed" : "hash", id);
    }
  }
  return [...entries.values()];
}

/** Checking a signature costs more than looking whether it was checked before. */
async function withoutKnown(reader: Reader, entries: Entry[]): Promise<Entry[]> {
  if ((await reader.known(entries.map(({ id }) => id))) === 0) return entries;
  const breath = new Breath();
  const fresh: Entry[] = [];
  for (const entry of entries) {
    await breath.take();
    const known = await reader.record(entry.id);
    const same =
      known !== null &&
      known.signer === entry.signer &&
      known.judged_by === entry.judged_by &&
      equalBytes(known.sig, entry.sig);
    if (!same) fresh.push(entry);
  }
  return fresh;
}

/** A signer's key is the one that is known here, else the one that its DID certifies. */
async function keysOf(
  reader: Reader,
  peer: string,
  page: ReceivedPage,
  dids: ReadonlySet<string>,
): Promise<Map<string, Uint8Array>> {
  const keys = new Map<string, Uint8Array>();
  const statement = await knownStatement(reader, peer);
  if (statement) keys.set(peer, fromHex(statement.public_key, 32)!);
  for (const did of dids) {
    const known = await reader.signer(did);
    const stated = page.signers.get(did);
    if (known) keys.set(did, known.publicKey);
    else if (stated && certifies(did, stated)) keys.set(did, stated);
  }
  return keys;
}

/** What a line that is no envelope says its id is, as far as it can be shown. */
function statedId(line: Uint8Array): string {
  const [, id] = /^\{"id":"([0-9a-f]{64})"/.exec(fromUtf8(line.subarray(0, 80)) ?? "") ?? [];
  return id ?? "without an id";
}
