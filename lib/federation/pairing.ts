import { fromUtf8, toHex } from "../base/bytes.ts";
import { type ErrorCode, SplError } from "../base/errors.ts";
import type { Pair, PairState } from "../folds/pairs.ts";
import type { Statement } from "../identity/statement.ts";
import {
  findPair,
  movePair,
  type PairView,
  pairWith,
  recordChange,
  recordPair,
  requireStanding,
  showPair,
} from "../instance/federation.ts";
import type { Instance } from "../instance/instance.ts";
import { knownStatement } from "../instance/steward.ts";
import type { Reader, Writer } from "../store/types.ts";
import type { FederationContext } from "./context.ts";
import { learn } from "./learn.ts";
import { ask, callPeer, type PairAddress, type PeerRequest, reach } from "./link.ts";
import { putPeerRow } from "./peer_row.ts";
import { resolveDid } from "./resolve.ts";
import { readWhole } from "./safe_fetch.ts";
import { CHECK_URL, discover } from "./well_known.ts";

/**
 * Pairing (spec, section 9): one side asks, the other's operator approves, or asks in turn, which is the same. Who asks
 * writes a record once the other side has taken the request; what a stranger asks is kept beside the records until it is
 * approved.
 */

/** How far a pairing is, as one side tells the other; `none` when there is neither a pair nor a request. */
const PAIRING_STATES = ["none", "establishing", "active"] as const;
export type PairingState = (typeof PAIRING_STATES)[number];

export const PAIR_PATH = "/federation/v1/pair";
/** Requests that wait for the operator. */
const MAX_REQUESTS = 100;
const REQUEST_LIFE_MS = 30 * 24 * 60 * 60 * 1000;
const ANSWER = { most: 4096, idleMs: 5000, totalMs: 5000 };
/** What calls fail with where their advice is to refresh the pair. */
const LOST: readonly ErrorCode[] = ["peer_unreachable", "peer_misbehaves"];
/** How long the operator waits for the other side to be told. */
const TELL_MS = 5000;

/**
 * Finds out who is at `url` and asks to be paired, which approves what that one has asked. A peer that is paired already
 * is asked at this URL from now on. Nothing is written before it has answered: what it keeps of a request whose answer is
 * lost is the same when it is asked again.
 * @throws SplError conflict for this instance's own URL; superseded for an identity that was revoked; address_refused,
 *   peer_unreachable, peer_misbehaves; what the peer refuses, such as rate_limited
 */
export async function requestPair(ctx: FederationContext, url: string, by: string): Promise<PairView> {
  const { instance } = ctx;
  const { did, statement } = await discover(ctx, url).catch((error) => {
    throw withHint(error, CHECK_URL);
  });
  await instance.store.read(async (reader) => {
    if (did !== (await instance.signer(reader)).did) return;
    throw new SplError("conflict", `${url} is this same identity (${did})`, {
      hint: "name the URL of another instance",
    });
  });
  await learn(ctx, statement);
  const { before, waited } = await instance.store.read(async (reader) => {
    await refuseEnded(reader, did);
    return { before: await pairWith(instance, reader, did), waited: await isAsking(reader, did) };
  });
  const told = before?.state === "paused" ? { url, state: null } : await askForPair(ctx, did, url);
  const id = await instance.store.transact(async (writer) => {
    const known = await pairWith(instance, writer, did);
    if (known?.url !== told.url)
      await writer.addAudit(instance.ports.clock(), "pair.request", { peer: did, url: told.url, by });
    if (known === null) {
      // Both have asked at the same time, or that one has approved before this was written.
      const met = !waited && (await isAsking(writer, did));
      const state = met ? "active" : (told.state ?? "establishing");
      return openPair(instance, writer, { did, url: told.url, state }, by);
    }
    if (known.url !== told.url) await recordChange(instance, writer, did, { url: told.url });
    if (told.state !== null) await follow(instance, writer, known, before?.state ?? null, told.state);
    return known.id;
  });
  return showPair(instance, id);
}

/** Whether a request of this instance waits here. */
async function isAsking(reader: Reader, did: string): Promise<boolean> {
  return (await reader.pairRequests()).some((request) => request.did === did);
}

/** Where a peer answers that is asked to be paired, and what. @throws SplError as `reach`; peer_misbehaves */
async function askForPair(
  ctx: FederationContext,
  peer_did: string,
  at: string,
): Promise<{ url: string; state: "establishing" | "active" }> {
  const request = { method: "POST", path: PAIR_PATH, accept: "application/json" } as const;
  const again = `spl federation pair ${at} asks again; nothing is kept here of this time`;
  try {
    const { answer, url } = await reach(ctx, { peer_did, url: at }, request);
    const state = readState(await readWhole(answer, ANSWER), peer_did);
    if (state !== "none") return { url, state };
    throw new SplError("peer_misbehaves", `${url} does not take the request to be paired`);
  } catch (error) {
    const lost = error instanceof SplError && LOST.includes(error.code);
    throw lost ? error.retold({ hint: again }) : withHint(error, again);
  }
}

/** @throws SplError superseded */
async function refuseEnded(reader: Reader, did: string): Promise<void> {
  const known = await knownStatement(reader, did);
  if (!known?.revoked) return;
  throw new SplError("superseded", `${did} was revoked (${known.issued_at}): nobody can be paired with it`, {
    hint: "its operator has to make a new identity there, with spl init in a new home; pair with that one",
    detail: { state: "revoked" },
  });
}

function withHint(error: unknown, hint: string): unknown {
  return error instanceof SplError && error.hint === undefined ? error.retold({ hint }) : error;
}

/** Asks how far the pairing is that this side asked for, without asking for it again. @throws SplError as `callPeer` */
export async function followPairing(
  ctx: FederationContext,
  pair: PairView,
  signal?: AbortSignal,
): Promise<PairView> {
  const { instance } = ctx;
  const request = { method: "GET", path: PAIR_PATH, accept: "application/json" } as const;
  const answer = await callPeer(ctx, pair, { ...request, ...(signal && { signal }) });
  const state = readState(await readWhole(answer, ANSWER), pair.peer_did);
  await instance.store.transact(async (writer) => {
    const known = await pairWith(instance, writer, pair.peer_did);
    if (known !== null && state !== "none") await follow(instance, writer, known, pair.state, state);
  });
  if (state !== "none") return showPair(instance, pair.id);
  throw new SplError(
    "pair_unknown",
    `${pair.peer_did} does not know of this pairing: it was rejected there`,
    {
      hint: "spl federation pair URL asks again",
    },
  );
}

/**
 * Follows what the other side says of a pair.
 * @param before how it stood here when that was asked
 */
async function follow(
  instance: Instance,
  writer: Writer,
  { peer_did, state }: Pair,
  before: PairState | null,
  told: "establishing" | "active",
): Promise<void> {
  if (state === "establishing" && told === "active") await activate(instance, writer, peer_did, "peer");
  else if (state === "active" && told === "active") await syncSoon(instance, writer, peer_did);
  // The other side ended a pair that stood before: this one asks for it anew.
  else if (state === "active" && before === "active")
    await recordChange(instance, writer, peer_did, { state: told });
}

/**
 * Approves a request and tells the other side, which otherwise learns of it when it asks the next time.
 * @param name the request's ID, the beginning of it, or the peer's DID
 * @throws SplError not_found, usage; conflict when it is not this side that has to approve; superseded for an identity that
 *   was revoked
 */
export async function approvePair(ctx: FederationContext, name: string, by: string): Promise<PairView> {
  const { instance } = ctx;
  const id = await instance.store.transact(async (writer) => {
    const pair = await findPair(instance, writer, name);
    requireStanding(pair);
    const { peer_did, url, approval, state } = pair;
    if (approval !== "here") {
      throw new SplError(
        "conflict",
        approval === "there"
          ? `it is ${peer_did} that has to approve`
          : `the pair with ${peer_did} is ${state}`,
        { hint: "spl federation list shows how far each is" },
      );
    }
    await refuseEnded(writer, peer_did);
    return openPair(instance, writer, { did: peer_did, url, state: "active", request: pair.id }, by);
  });
  const pair = await showPair(instance, id);
  if (pair.url === null || ctx.isolated) return pair;
  try {
    const request = { method: "POST", path: PAIR_PATH, accept: "application/json" } as const;
    const answer = await callPeer(ctx, pair, { ...request, signal: AbortSignal.timeout(TELL_MS) });
    await answer.cancel();
  } catch (error) {
    ctx.log("pair-not-told", { peer: pair.peer_did, error: error instanceof Error ? error.message : "" });
  }
  return showPair(instance, id);
}

/** Forgets a request. @throws SplError not_found, usage, conflict */
export function rejectPair({ instance }: FederationContext, name: string, by: string): Promise<PairView> {
  return instance.store.transact(async (writer) => {
    const pair = await findPair(instance, writer, name);
    requireStanding(pair);
    if (pair.approval !== "here") {
      throw new SplError("conflict", `the pair with ${pair.peer_did} does not wait to be approved here`, {
        hint: `spl federation revoke ${pair.id.slice(0, 12)} ends it`,
      });
    }
    await writer.removePairRequest(pair.peer_did);
    await writer.addAudit(instance.ports.clock(), "pair.reject", { peer: pair.peer_did, by });
    return pair;
  });
}

/**
 * The other end: an instance that has proven who it is asks to be paired. It is let in at once when this side asked as
 * well, or when a rule of the settings says so.
 * @param stranger is called before a request of an unknown instance is kept
 * @throws SplError rate_limited when too many wait, and what `stranger` throws
 */
export function receiveRequest(
  { instance, autoApprove }: FederationContext,
  { did, url }: Statement,
  stranger: () => void,
): Promise<PairingState> {
  return instance.store.transact(async (writer) => {
    const pair = await pairWith(instance, writer, did);
    if (pair?.state === "establishing") await activate(instance, writer, did, "peer");
    if (pair?.state === "active") await syncSoon(instance, writer, did);
    if (pair) return "active";
    if (autoApprove.some((pattern) => matches(pattern, did))) {
      await openPair(instance, writer, { did, url, state: "active" }, "auto_approve");
      return "active";
    }
    stranger();
    await keepRequest(instance, writer, did, url);
    return "establishing";
  });
}

/** How far the pairing with a peer is, as it is told when it asks. */
export function pairingState({ instance }: FederationContext, did: string): Promise<PairingState> {
  return instance.store.read(async (reader) => {
    const pair = await pairWith(instance, reader, did);
    if (pair) return pair.state === "establishing" ? "establishing" : "active";
    return (await isAsking(reader, did)) ? "establishing" : "none";
  });
}

/**
 * Finds out where a peer lives now, and says so by record once it has answered there.
 * @param name an ID, the beginning of one, or the peer's DID
 * @throws SplError not_found, usage; peer_unreachable when it is nowhere to be found
 */
export async function refreshPair(ctx: FederationContext, name: string): Promise<PairView> {
  const { instance } = ctx;
  const pair = await showPair(instance, name);
  requireStanding(pair);
  const { url } = await resolveDid(ctx, pair.peer_did);
  const probe = { method: "GET", path: PAIR_PATH, accept: "application/json" } as const;
  // What others say counts first: whoever asks for this believes that the address here is wrong.
  if (url !== null && url !== pair.url && (await answers(ctx, pair, url, probe))) {
    await movePair(instance, pair.peer_did, url);
    return showPair(instance, pair.id);
  }
  const answer = await callPeer(ctx, pair, probe).catch((error) => {
    const told = error instanceof SplError && LOST.includes(error.code);
    throw told ? error.retold({ hint: "spl federation pair URL tells where it lives, if you know" }) : error;
  });
  await answer.cancel();
  return showPair(instance, pair.id);
}

async function answers(
  ctx: FederationContext,
  { peer_did }: PairAddress,
  url: string,
  probe: PeerRequest,
): Promise<boolean> {
  try {
    await (await ask(ctx, peer_did, url, probe)).cancel();
    return true;
  } catch {
    return false;
  }
}

/** @param opened `request` is the ID of the request that it answers, which goes on meaning it */
async function openPair(
  instance: Instance,
  writer: Writer,
  opened: { did: string; url: string | null; state: "establishing" | "active"; request?: string },
  by: string,
): Promise<string> {
  const { did, url, state, request } = opened;
  const id = await recordPair(instance, writer, {
    peer_did: did,
    ...(url !== null && { url }),
    state,
    ...(request !== undefined && { request }),
  });
  if (state === "active") await approved(instance, writer, did, by);
  // Where it has asked as well, that is answered by asking it.
  else await writer.removePairRequest(did);
  return id;
}

async function activate(instance: Instance, writer: Writer, did: string, by: string): Promise<void> {
  await recordChange(instance, writer, did, { state: "active" });
  await approved(instance, writer, did, by);
}

async function approved(instance: Instance, writer: Writer, peer: string, by: string): Promise<void> {
  await writer.removePairRequest(peer);
  await syncSoon(instance, writer, peer);
  await writer.addAudit(instance.ports.clock(), "pair.active", { peer, by });
}

/**
 * The first poll comes at once, and what made the ones before fail is over. Where nothing is known of a peer, as after an
 * import, it waits one interval.
 */
function syncSoon({ ports }: Instance, writer: Writer, peer: string): Promise<void> {
  const nextAt = ports.clock();
  return putPeerRow(writer, peer, ({ failures }) => ({
    nextAt,
    ...(failures > 0 && { failures: 0, problem: null }),
  }));
}

/** @throws SplError rate_limited */
async function keepRequest(
  { ports }: Instance,
  writer: Writer,
  did: string,
  url: string | null,
): Promise<void> {
  const now = ports.clock();
  const waiting = [];
  for (const request of await writer.pairRequests()) {
    if (request.at + REQUEST_LIFE_MS < now) await writer.removePairRequest(request.did);
    else waiting.push(request);
  }
  const known = waiting.find((request) => request.did === did);
  if (!known && waiting.length >= MAX_REQUESTS) {
    throw new SplError("rate_limited", `${MAX_REQUESTS} instances wait to be paired already`, {
      hint: "ask its operator to approve or reject some",
      detail: { retry_after: 3600 },
    });
  }
  const id = known?.id ?? toHex(ports.random(6));
  await writer.putPairRequest({ id, did, url, name: null, at: now });
  if (!known) await writer.addAudit(now, "pair.asked", { peer: did, url });
}

/** Whether a DID fits a pattern in which `*` stands for any run of characters. */
function matches(pattern: string, did: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(did);
}

/** @throws SplError peer_misbehaves */
function readState(bytes: Uint8Array, peer: string): PairingState {
  const state = PAIRING_STATES.find((each) => fromUtf8(bytes) === JSON.stringify({ state: each }));
  if (state) return state;
  throw new SplError("peer_misbehaves", `${peer} does not say how far the pairing is`);
}
