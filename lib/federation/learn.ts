import { RESERVED_THREADS } from "../folds/reserved.ts";
import { compareStatements, type Statement } from "../identity/statement.ts";
import { emitWith } from "../instance/emit.ts";
import type { Instance } from "../instance/instance.ts";
import { foldReserved } from "../instance/reserved.ts";
import { knownStatement, noteStatement, placeOf, standing } from "../instance/steward.ts";
import type { JsonObject } from "../record/types.ts";
import type { Writer } from "../store/types.ts";
import type { FederationContext } from "./context.ts";

/**
 * Takes in a checked statement, wherever it came from, and does what follows from it: a pair's URL is refreshed by
 * record, the pairs of a revoked peer are revoked, and when it is about this very identity this home may have been
 * superseded, which is audited once. Returns false for what was known or outranked.
 */
export async function learn(ctx: FederationContext, statement: Statement): Promise<boolean> {
  const { instance, log } = ctx;
  // Most of what is heard is known, and costs no transaction.
  const known = await instance.store.read((reader) => knownStatement(reader, statement.did));
  if (known !== null && compareStatements(statement, known) <= 0) return false;
  const { noted, lost } = await instance.store.transact(async (writer) => {
    const signer = await instance.signer(writer);
    const before = await standing(writer, signer);
    if (!(await noteStatement(writer, statement))) return { noted: false, lost: false };
    if (statement.did !== signer.did) {
      if (before.state === "active") await followPeer(instance, writer, signer.did, statement);
      return { noted: true, lost: false };
    }
    const { state } = await standing(writer, signer);
    const lost = before.state !== state && state !== "active";
    if (lost) {
      const { url, epoch, steward_id } = statement;
      await writer.addAudit(instance.ports.clock(), `identity.${state}`, { url, epoch, steward_id });
    }
    return { noted: true, lost };
  });
  if (lost) log("superseded", { to: placeOf(statement), epoch: statement.epoch, revoked: statement.revoked });
  return noted;
}

/** Keeps the pairs with a peer at where it lives now. */
async function followPeer(
  instance: Instance,
  writer: Writer,
  own: string,
  { did, url, revoked }: Statement,
): Promise<void> {
  const pairs = (await foldReserved(writer, own)).pairs.standing().filter((pair) => pair.peer_did === did);
  for (const pair of pairs) {
    const change: JsonObject | null = revoked
      ? { state: "revoked" }
      : url !== null && url !== pair.url
        ? { url }
        : null;
    if (change === null) continue;
    const body = { topic: "pair", pair: pair.id, ...change };
    const emission = {
      thread: RESERVED_THREADS.pairs,
      act: "LEARN" as const,
      body,
      data_type: "SCALAR" as const,
    };
    await emitWith(instance, writer, [{ ...emission, judged_by: null }], { actor: own });
  }
}
