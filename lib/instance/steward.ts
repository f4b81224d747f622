import { toHex } from "../base/bytes.ts";
import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { compareStatements, compareStewards, type Statement, signStatement } from "../identity/statement.ts";
import type { IdentityRow, Reader, Writer } from "../store/types.ts";
import type { Instance, Signer } from "./instance.ts";
import type { InstanceState } from "./types.ts";

/** One identity, one living steward (spec, section 3): who it is, and what this home must not do when it is not it. */

/** This home's own statement, saying that it lives at `url`. */
export function ownStatement(
  signer: Pick<Signer, "did" | "key" | "stewardId" | "epoch">,
  url: string | null,
  now: number,
): Statement {
  const { did, key, stewardId, epoch } = signer;
  return signStatement(
    {
      did,
      public_key: toHex(key.publicKey),
      url,
      steward_id: stewardId,
      epoch,
      issued_at: isoTime(now),
      revoked: false,
    },
    key,
  );
}

/** The statement that ends the identity; it names no address. */
export function revokedStatement(signer: Signer, now: number): Statement {
  const { sig: _, ...fields } = ownStatement(signer, null, now);
  return signStatement({ ...fields, revoked: true }, signer.key);
}

/**
 * The statement of this identity that holds: this home's own, made anew where it would say something else, or the one
 * by which another home superseded it. The home remembers its address, to know it again in a statement of another.
 */
export async function keepOwnStatement(instance: Instance, url: string | null): Promise<Statement> {
  const holds = await instance.store.read(async (reader) => {
    const signer = await instance.signer(reader);
    if (url !== null && url !== signer.url) return null;
    const { by } = await standing(reader, signer);
    const known = await knownStatement(reader, signer.did);
    return by ?? (known?.epoch === signer.epoch && known.url === url ? known : null);
  });
  if (holds !== null) return holds;
  return instance.store.transact(async (writer) => {
    const { key, ...before } = await instance.signer(writer);
    const identity = { ...before, url: url ?? before.url };
    if (identity.url !== before.url) await writer.setIdentity(identity);
    const { by } = await standing(writer, identity);
    if (by !== null) return by;
    const known = await knownStatement(writer, identity.did);
    const own = known?.steward_id === identity.stewardId ? known : null;
    // Of two statements of one epoch the later one holds, also after the clock or the home was set back.
    const at = Math.max(instance.ports.clock(), own === null ? 0 : Date.parse(own.issued_at) + 1);
    const kept = { ...identity, epoch: Math.max(identity.epoch, own?.epoch ?? 0) };
    if (kept.epoch !== identity.epoch) await writer.setIdentity(kept);
    const statement = ownStatement({ ...kept, key }, url, at);
    await noteStatement(writer, statement);
    return statement;
  });
}

/** The highest epoch that is known of an identity, in Unix milliseconds or higher. */
export async function highestEpoch(
  reader: Reader,
  identity: Pick<IdentityRow, "did" | "epoch">,
): Promise<number> {
  return Math.max(identity.epoch, (await knownStatement(reader, identity.did))?.epoch ?? 0);
}

/** Whether a statement outranks what is known of its DID and says something else: another home or address, or the end. */
export function isNews(statement: Statement, known: Statement | null): boolean {
  if (known === null) return true;
  if (compareStewards(statement, known) === 0 && statement.url === known.url) return false;
  return compareStatements(statement, known) > 0;
}

/** Keeps a checked statement if it is news. */
export async function noteStatement(writer: Writer, statement: Statement): Promise<boolean> {
  if (!isNews(statement, await knownStatement(writer, statement.did))) return false;
  await writer.putEndpoint(statement.did, JSON.stringify(statement));
  return true;
}

/** The highest statement seen of a DID; it was checked before it was kept. */
export async function knownStatement(reader: Reader, did: string): Promise<Statement | null> {
  const json = await reader.endpoint(did);
  return json === null ? null : (JSON.parse(json) as Statement);
}

type StewardRow = Pick<IdentityRow, "did" | "stewardId" | "epoch" | "url">;

export interface Standing {
  state: InstanceState;
  /** What says so: where the identity lives now. Null while it is this home. */
  by: Statement | null;
}

/** A standing as it is shown. */
export interface StewardView {
  state: InstanceState;
  /** Where a superseded identity lives now, if it has an address. */
  moved_to: string | null;
  /** That is where this home was reached itself. */
  same_address: boolean;
  /** ISO 8601: when this home lost the identity. */
  since: string | null;
}

export async function stewardView(reader: Reader, identity: StewardRow): Promise<StewardView> {
  const { state, by } = await standing(reader, identity);
  return { state, moved_to: by?.url ?? null, same_address: isAt(by, identity), since: by && sinceOf(by) };
}

function isAt(by: Statement | null, { url }: Pick<IdentityRow, "url">): boolean {
  return by !== null && by.url !== null && by.url === url;
}

/** When the identity ended, or went to the home that a statement speaks for. */
function sinceOf({ revoked, issued_at, epoch }: Statement): string {
  return revoked ? issued_at : isoTime(epoch);
}

/** Whether this home is still the steward of its identity. */
export async function standing(reader: Reader, identity: StewardRow): Promise<Standing> {
  const by = await knownStatement(reader, identity.did);
  if (by?.revoked) return { state: "revoked", by };
  const own = { revoked: false, epoch: identity.epoch, steward_id: identity.stewardId };
  if (by && by.steward_id !== identity.stewardId && compareStewards(by, own) > 0)
    return { state: "superseded", by };
  return { state: "active", by: null };
}

/**
 * Everything that writes asks this first, inside its transaction.
 * @throws SplError superseded
 */
export async function requireActive(reader: Reader, identity: StewardRow): Promise<void> {
  const { state, by } = await standing(reader, identity);
  if (by === null) return;
  if (state === "revoked") {
    throw new SplError("superseded", `this identity was revoked (${by.issued_at}): it writes nothing more`, {
      hint: "spl export still saves what is here",
      detail: { state },
    });
  }
  const since = sinceOf(by);
  throw new SplError(
    "superseded",
    `this identity moved to ${placeOf(by, identity)} (${since}): this home is read-only`,
    {
      hint: "write there, or spl serve --stop, then spl serve --reclaim to take it back here",
      detail: { state, since, ...(by.url !== null && { url: by.url }) },
    },
  );
}

/** No home may become who has ended. @throws SplError superseded */
export async function refuseRevoked(reader: Reader, did: string): Promise<void> {
  const known = await knownStatement(reader, did);
  if (!known?.revoked) return;
  throw new SplError("superseded", `${did} was revoked (${known.issued_at}): no home can be it any more`, {
    hint: "spl init makes a new identity; spl import FILE --keep-identity brings only the records",
    detail: { state: "revoked" },
  });
}

/** Where a statement says that its instance lives, in words for who is at the home that it has left. */
export function placeOf(by: Statement, left: Pick<IdentityRow, "url">): string {
  if (isAt(by, left)) return `another home at the same address, ${by.url}`;
  return by.url ?? "another home, which has no address";
}
