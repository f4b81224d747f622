import type { Statement } from "../identity/statement.ts";
import { pairWith, recordChange } from "../instance/federation.ts";
import type { Instance } from "../instance/instance.ts";
import { foldReserved } from "../instance/reserved.ts";
import { isNews, knownStatement, noteStatement, placeOf, standing } from "../instance/steward.ts";
import type { Reader, Writer } from "../store/types.ts";
import type { FederationContext } from "./context.ts";

/**
 * Takes in a checked statement, wherever it came from, and does what follows from it: a pair's URL is refreshed by
 * record, the pairs of a revoked peer are revoked, and when it is about this very identity this home may have been
 * superseded, which is audited once. Returns false for what was known or outranked.
 */
export async function learn(ctx: FederationContext, statement: Statement): Promise<boolean> {
  const { instance, log } = ctx;
  // Most of what is heard is no news, and costs no transaction.
  if (!isNews(statement, await instance.store.read((reader) => knownStatement(reader, statement.did))))
    return false;
  const { noted, left } = await instance.store.transact(async (writer) => {
    const signer = await instance.signer(writer);
    const before = await standing(writer, signer);
    const known = await knownStatement(writer, statement.did);
    if (!(await noteStatement(writer, statement))) return { noted: false, left: null };
    if (statement.did !== signer.did) {
      if (before.state === "active") await followPeer(instance, writer, statement, known);
      return { noted: true, left: null };
    }
    const { state } = await standing(writer, signer);
    const lost = before.state !== state && state !== "active";
    if (lost) {
      const { url, epoch, steward_id } = statement;
      await writer.addAudit(instance.ports.clock(), `identity.${state}`, { url, epoch, steward_id });
    }
    return { noted: true, left: lost ? signer : null };
  });
  if (noted) ctx.announce();
  if (left !== null) {
    const { epoch, revoked } = statement;
    log("superseded", { to: placeOf(statement, left), epoch, revoked });
  }
  return noted;
}

/**
 * Whether this instance has to do with a DID: it is its own, a pair's, also of one that has ended, or that of somebody
 * who asks to be one.
 */
export async function isAcquainted(instance: Instance, reader: Reader, did: string): Promise<boolean> {
  const { did: own, pairs } = await foldReserved(instance, reader);
  if (did === own || pairs.all().some(({ peer_did }) => peer_did === did)) return true;
  return (await reader.pairRequests()).some((request) => request.did === did);
}

/**
 * Keeps the pair with a peer at where it lives now. An address that the operator typed stays while the peer stays in
 * its home: it may be the only one that leads there.
 */
async function followPeer(
  instance: Instance,
  writer: Writer,
  { did, url, revoked, steward_id }: Statement,
  known: Statement | null,
): Promise<void> {
  const pair = await pairWith(instance, writer, did);
  if (pair === null) return;
  const stayed = known === null || (known.steward_id === steward_id && known.url !== pair.url);
  if (revoked) await recordChange(instance, writer, did, { state: "revoked" });
  else if (url !== null && url !== pair.url && !stayed) await recordChange(instance, writer, did, { url });
}
