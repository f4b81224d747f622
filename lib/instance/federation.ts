import { isoTime } from "../base/clock.ts";
import { SplError } from "../base/errors.ts";
import { type Pair, type PairFold, POLL_S } from "../folds/pairs.ts";
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

const LIST = "spl federation list shows all";

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
  return instance.store.read(async (reader) => viewsOf((await foldReserved(instance, reader)).pairs, reader));
}

/**
 * Also one that was revoked, where no other is called so.
 * @param name an ID, also of the request that it answers, the beginning of one, or the peer's DID
 * @throws SplError not_found, usage
 */
export function showPair(instance: Instance, name: string): Promise<PairView> {
  return instance.store.read((reader) => findPair(instance, reader, name));
}

/** As `showPair`. @throws SplError not_found; usage for the beginning of several IDs */
export async function findPair(instance: Instance, reader: Reader, name: string): Promise<PairView> {
  const { pairs } = await foldReserved(instance, reader);
  const revoked = pairs.all().filter(({ state }) => state === "revoked");
  const ended = revoked.map(
    (pair): PairView => ({ ...pair, approval: null, last_sync: null, problem: null }),
  );
  const namesOf = (pair: Pair) => pairs.namesOf(pair);
  const allNames = ({ id, peer_did }: Pair) => [id, ...pairs.partsOf(peer_did).flatMap(namesOf)];
  const found = named(await viewsOf(pairs, reader), name, allNames) ?? named(ended, name, namesOf);
  if (found !== null) return found;
  throw new SplError("not_found", `there is no pair ${name.slice(0, 300)}`, { hint: LIST });
}

/** @param ids of one of them @throws SplError usage for the beginning of several */
function named(views: PairView[], name: string, ids: (view: PairView) => string[]): PairView | null {
  const own = views.findLast(({ peer_did }) => peer_did === name);
  if (own !== undefined || name === "") return own ?? null;
  const found = views.filter((view) => ids(view).some((id) => id.startsWith(name)));
  if (found.length < 2) return found[0] ?? null;
  throw new SplError("usage", `${name} is the beginning of several IDs`, { hint: LIST });
}

/** @throws SplError conflict for a pair that has ended */
export function requireStanding({ id, peer_did, state }: PairView): void {
  if (state !== "revoked") return;
  throw new SplError("conflict", `the pair ${id.slice(0, 12)} with ${peer_did} is revoked`, {
    hint: "spl federation pair URL asks for a new one",
  });
}

async function viewsOf(fold: PairFold, reader: Reader): Promise<PairView[]> {
  const pairs = fold.standing();
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

/** The pair with this peer that is not revoked, or null. */
export async function pairWith(instance: Instance, reader: Reader, peer: string): Promise<Pair | null> {
  const { pairs } = await foldReserved(instance, reader);
  return pairs.standing().find(({ peer_did }) => peer_did === peer) ?? null;
}

/** Writes a record on `th_federation_pairs` in the instance's own name and returns its id. */
export function recordPair(instance: Instance, writer: Writer, body: JsonObject): Promise<string> {
  return emitOwn(instance, writer, RESERVED_THREADS.pairs, { topic: "pair", ...body });
}

/** Changes the pair with a peer by a record, and where it has taken in others, by one for each. */
export async function recordChange(
  instance: Instance,
  writer: Writer,
  peer: string,
  change: JsonObject,
): Promise<void> {
  const { pairs } = await foldReserved(instance, writer);
  for (const { id } of pairs.partsOf(peer)) await recordPair(instance, writer, { pair: id, ...change });
}

/** Says by record that the peer of a pair lives at another URL now; false where that is known, or the pair gone. */
export function movePair(instance: Instance, peer: string, url: string): Promise<boolean> {
  return instance.store.transact(async (writer) => {
    const pair = await pairWith(instance, writer, peer);
    if (pair === null || pair.url === url) return false;
    await recordChange(instance, writer, peer, { url });
    return true;
  });
}

/**
 * Changes a pair by record; without effect where all is so already.
 * @param name an ID, the beginning of one, or the peer's DID
 * @throws SplError not_found, usage; conflict for one that has ended, or is not approved yet, except to revoke it
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
    const replaced = pair.state === "revoked" && (await pairWith(instance, writer, peer_did)) !== null;
    if (!replaced && JSON.stringify(changed) === JSON.stringify(pair)) return pair;
    requireStanding(pair);
    await recordChange(instance, writer, peer_did, given as JsonObject);
    if (change.state === "revoked") await writer.removePeer(peer_did);
    const at = instance.ports.clock();
    if (change.state) await writer.addAudit(at, `pair.${change.state}`, { peer: peer_did, by });
    return changed.state === "revoked" ? { ...changed, approval: null } : changed;
  });
}
