import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { type Pair, POLL_S } from "../folds/pairs.ts";
import { RESERVED_THREADS } from "../folds/reserved.ts";
import type { JsonObject } from "../record/types.ts";
import type { PairRequest, Reader, Writer } from "../store/types.ts";
import { emitOwn } from "./emit.ts";
import type { Instance } from "./instance.ts";
import { foldReserved } from "./reserved.ts";

/** A pair as `federation list` shows it; how syncing goes is local to this host. */
export interface PairView extends Pair {
  /** Whose operator has to approve it; null once that is done. */
  approval: "here" | "there" | null;
  /** ISO 8601; null until the first one here. */
  last_sync: string | null;
  /** Why the last attempt failed; the pair is degraded until one succeeds. */
  problem: string | null;
}

/** What can be changed of a pair; what is left out stays. */
export type PairChange = {
  [Name in "state" | "mode" | "interval_s" | "threads"]?: Pair[Name] | undefined;
};

/** How a pair stands, as it is shown: an active one whose last attempt failed is degraded. */
export function shownState({ state, problem }: PairView): PairView["state"] | "degraded" {
  return state === "active" && problem !== null ? "degraded" : state;
}

/** Pairs in the order in which they were opened, then those who ask to be one. */
export function listPairs(instance: Instance): Promise<PairView[]> {
  return instance.store.read((reader) => pairViews(instance, reader));
}

/** @param name an ID, the beginning of one, or the peer's DID. @throws SplError not_found, usage */
export function showPair(instance: Instance, name: string): Promise<PairView> {
  return instance.store.read((reader) => findPair(instance, reader, name));
}

/** @throws SplError not_found; usage for the beginning of several IDs */
export async function findPair(instance: Instance, reader: Reader, name: string): Promise<PairView> {
  const views = await pairViews(instance, reader);
  const named = inUse(views, name);
  if (named !== null) return named;
  const found = views.filter(({ id }) => name !== "" && id.startsWith(name));
  if (found.length === 1) return found[0]!;
  const hint = "spl federation list shows all";
  if (found.length > 1) throw new SplError("usage", `${name} is the beginning of several IDs`, { hint });
  throw new SplError("not_found", `there is no pair ${name.slice(0, 300)}`, { hint });
}

async function pairViews(instance: Instance, reader: Reader): Promise<PairView[]> {
  const pairs = (await foldReserved(instance, reader)).pairs.standing();
  const peers = new Map((await reader.peers()).map((peer) => [peer.did, peer]));
  const asking = (await reader.pairRequests()).map(requestedPair);
  return [...pairs, ...asking].map((pair): PairView => {
    const { lastSync = null, problem = null } = peers.get(pair.peer_did) ?? {};
    const approval = pair.state !== "establishing" ? null : pairs.includes(pair) ? "there" : "here";
    return { ...pair, approval, last_sync: lastSync === null ? null : isoTime(lastSync), problem };
  });
}

function requestedPair({ id, did, url }: PairRequest): Pair {
  return {
    id,
    peer_did: did,
    url,
    state: "establishing",
    mode: "polling",
    interval_s: POLL_S.default,
    threads: null,
  };
}

/** The pair with this peer that is not revoked and in use, or null. */
export async function pairWith(instance: Instance, reader: Reader, peer: string): Promise<Pair | null> {
  const { pairs } = await foldReserved(instance, reader);
  return inUse(pairs.standing(), peer);
}

/** Of several with one peer, as where the records of two homes were united: the newest that is active, else the newest. */
function inUse<T extends Pair>(pairs: readonly T[], peer: string): T | null {
  const own = pairs.filter(({ peer_did }) => peer_did === peer);
  return own.findLast(({ state }) => state === "active") ?? own.at(-1) ?? null;
}

/** Writes a record on `th_federation_pairs` in the instance's own name and returns its id. */
export function recordPair(instance: Instance, writer: Writer, body: JsonObject): Promise<string> {
  return emitOwn(instance, writer, RESERVED_THREADS.pairs, { topic: "pair", ...body });
}

/** Says by record that the peer of a pair lives at another URL now; false where that is known, or the pair gone. */
export function movePair(instance: Instance, id: string, url: string): Promise<boolean> {
  return instance.store.transact(async (writer) => {
    const { pairs } = await foldReserved(instance, writer);
    const pair = pairs.standing().find((each) => each.id === id);
    if (!pair || pair.url === url) return false;
    await recordPair(instance, writer, { pair: id, url });
    return true;
  });
}

/**
 * Changes a pair by record; without effect where all is so already.
 * @param name an ID, the beginning of one, or the peer's DID
 * @throws SplError not_found, usage; conflict for one that is not approved yet, except to revoke it
 */
export function changePair(
  instance: Instance,
  name: string,
  change: PairChange,
  by: string,
): Promise<PairView> {
  return instance.store.transact(async (writer) => {
    const pair = await findPair(instance, writer, name);
    const { id, peer_did, approval } = pair;
    if (approval === "here" || (approval === "there" && change.state !== "revoked")) {
      throw new SplError("conflict", `the pair with ${peer_did} is not approved yet`, {
        hint:
          approval === "here"
            ? `spl federation approve ${id} or spl federation reject ${id} decides`
            : `there, spl federation approve decides; here, spl federation revoke ${id.slice(0, 12)} takes it back`,
      });
    }
    const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
    const changed: PairView = { ...pair, ...given };
    if (JSON.stringify(changed) === JSON.stringify(pair)) return pair;
    await recordPair(instance, writer, { pair: id, ...given });
    if (change.state === "revoked") await writer.removePeer(peer_did);
    const at = instance.ports.clock();
    if (change.state) await writer.addAudit(at, `pair.${change.state}`, { peer: peer_did, by });
    return changed.state === "revoked" ? { ...changed, approval: null } : changed;
  });
}
