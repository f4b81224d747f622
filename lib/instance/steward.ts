import { toHex } from "../base/bytes.ts";
import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { compareStatements, compareStewards, type Statement, signStatement } from "../identity/statement.ts";
import type { IdentityRow, Reader, Writer } from "../store/types.ts";
import type { Signer } from "./instance.ts";
import type { InstanceState } from "./types.ts";

/** One identity, one living steward (spec, section 3): who it is, and what this home must not do when it is not it. */

/** This home's own statement, saying that it lives at `url`. */
export function ownStatement(signer: Signer, url: string | null, now: number): Statement {
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

/** Keeps a checked statement if it outranks what is known of its DID. */
export async function noteStatement(writer: Writer, statement: Statement): Promise<boolean> {
  const known = await knownStatement(writer, statement.did);
  if (known && compareStatements(statement, known) <= 0) return false;
  await writer.putEndpoint(statement.did, JSON.stringify(statement));
  return true;
}

/** The highest statement seen of a DID; it was checked before it was kept. */
export async function knownStatement(reader: Reader, did: string): Promise<Statement | null> {
  const json = await reader.endpoint(did);
  return json === null ? null : (JSON.parse(json) as Statement);
}

type StewardRow = Pick<IdentityRow, "did" | "stewardId" | "epoch">;

export interface Standing {
  state: InstanceState;
  /** What says so: where the identity lives now. Null while it is this home. */
  by: Statement | null;
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
  const since = isoTime(by.epoch);
  throw new SplError(
    "superseded",
    `this identity moved to ${placeOf(by)} (${since}): this home is read-only`,
    {
      hint: "write there, or spl serve --stop, then spl serve --reclaim to take it back here",
      detail: { state, since, ...(by.url !== null && { url: by.url }) },
    },
  );
}

/** Where a statement says that its instance lives, in words. */
export function placeOf({ url }: Pick<Statement, "url">): string {
  return url ?? "another home, which has no address";
}
