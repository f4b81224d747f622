import { MAX_URL } from "../base/limits.ts";
import { parentsOf } from "../record/parents.ts";
import { isDid, isThread } from "../record/shape.ts";
import type { Entry, Json } from "../record/types.ts";
import type { FoldInput } from "./input.ts";
import { text } from "./threads.ts";

const PAIR_STATES = ["establishing", "active", "paused", "revoked"] as const;
export type PairState = (typeof PAIR_STATES)[number];
const PAIR_MODES = ["polling", "continuous", "on-demand"] as const;
export type PairMode = (typeof PAIR_MODES)[number];

/** Seconds between two polls: what is asked for, and the bounds of it. */
export const POLL_S = { default: 60, least: 5, most: 30 * 24 * 60 * 60 };
/** Threads that a pair may be narrowed to. */
const MAX_THREADS = 1000;
/** Of a request that a pair answers. */
const MAX_REQUEST_ID = 64;

export interface Pair {
  /** Id of the record that opened the pair: it stays the same on every host. */
  id: string;
  peer_did: string;
  url: string | null;
  state: PairState;
  /** When this instance pulls from the peer: by the clock, as it happens, or by `spl sync` only. */
  mode: PairMode;
  interval_s: number;
  /** Only these threads are shared; null for all that consent allows. */
  threads: string[] | null;
}

/**
 * Standing relationships with other instances, from `th_federation_pairs`. `LEARN {topic: "pair", peer_did,
 * url?, state?, request?}` opens one; `LEARN {topic: "pair", pair: id, url?, state?, mode?, interval_s?, threads?}`
 * changes it. A revoked pair stays revoked.
 *
 * Records of two homes of one identity, once united, may open several pairs with one peer. They stand as one, which is as
 * narrow as the strictest of them, and what revoked one of them ends all that were opened without knowing of it: nothing
 * that was narrowed, paused or revoked in one home is undone by what the other one says.
 */
export class PairFold {
  readonly #opened = new Map<string, Pair>();
  /** By the id of a pair, the request that it answers. */
  readonly #requests = new Map<string, string>();
  /** By the peer, the records that revoked a pair with it. */
  readonly #ends = new Map<string, string[]>();
  /** By the peer, where it was said last to live, of whichever pair with it. */
  readonly #urls = new Map<string, string>();
  /** What the records so far come to, once it was asked for. */
  #all: Pair[] | null = null;
  #standing: Pair[] | null = null;
  /** Of every record of the thread. */
  readonly #parents = new Map<string, string[]>();

  /** To be told of every record of the thread, whoever signed it: what one descends from may lead through any. */
  place(entry: Entry): void {
    this.#all = null;
    this.#standing = null;
    this.#parents.set(entry.id, parentsOf(entry));
  }

  add({ entry, act, body }: FoldInput): void {
    if (act !== "LEARN" || text(body, "topic") !== "pair") return;
    const state = PAIR_STATES.find((each) => each === text(body, "state"));
    const url = text(body, "url", MAX_URL);
    const known = this.#opened.get(text(body, "pair") ?? "");
    const peer = known?.peer_did ?? text(body, "peer_did");
    if (known) {
      if (state === "revoked") this.#end(known, entry.id);
      if (known.state === "revoked") return;
      known.state = state ?? known.state;
      known.url = url ?? known.url;
      known.mode = PAIR_MODES.find((each) => each === text(body, "mode")) ?? known.mode;
      known.interval_s = interval(body.interval_s) ?? known.interval_s;
      if (body.threads === null || isThreads(body.threads)) known.threads = body.threads;
    } else if (isDid(peer)) {
      const request = text(body, "request", MAX_REQUEST_ID);
      if (request !== null) this.#requests.set(entry.id, request);
      this.#opened.set(entry.id, {
        id: entry.id,
        peer_did: peer,
        url,
        state: state ?? "establishing",
        mode: "polling",
        interval_s: POLL_S.default,
        threads: null,
      });
    }
    if (peer !== null && url !== null) this.#urls.set(peer, url);
  }

  #end({ peer_did }: Pair, by: string): void {
    const ends = this.#ends.get(peer_did) ?? [];
    ends.push(by);
    this.#ends.set(peer_did, ends);
  }

  /** Each by itself, in the order in which they were opened. */
  all(): readonly Pair[] {
    this.#all ??= [...this.#opened.values()].map((pair) =>
      this.#isEnded(pair)
        ? { ...pair, state: "revoked" }
        : { ...pair, url: this.#urls.get(pair.peer_did) ?? null },
    );
    return this.#all;
  }

  /** One for each peer, of all that are not revoked: what `federation list` shows. */
  standing(): readonly Pair[] {
    if (this.#standing === null) {
      const live = this.all().filter(({ state }) => state !== "revoked");
      this.#standing = [...Map.groupBy(live, ({ peer_did }) => peer_did).values()].map(united);
    }
    return this.#standing;
  }

  /** The pair of this id, or that which it is a part of; null where there is none. */
  find(id: string): Pair | null {
    const pair = this.all().find((each) => each.id === id) ?? null;
    if (pair === null || pair.state === "revoked") return pair;
    return this.standing().find(({ peer_did }) => peer_did === pair.peer_did)!;
  }

  /** Those that are not revoked and stand as one with this peer. */
  partsOf(peer: string): Pair[] {
    return this.all().filter(({ peer_did, state }) => peer_did === peer && state !== "revoked");
  }

  /** What an operator may call a pair that `all` tells: its id, and that of the request it answers. */
  namesOf({ id }: Pair): string[] {
    return [id, this.#requests.get(id) ?? []].flat();
  }

  /** How many are not revoked by records of their own, each by itself: what a manifest counts. */
  get unrevoked(): number {
    return [...this.#opened.values()].filter(({ state }) => state !== "revoked").length;
  }

  #isEnded({ id, peer_did, state }: Pair): boolean {
    return state === "revoked" || !this.#descends(id, this.#ends.get(peer_did) ?? []);
  }

  /** Whether a record was written in the knowledge of all of these. */
  #descends(id: string, from: string[]): boolean {
    const missing = new Set(from);
    const known = new Set([id]);
    for (const each of known) {
      missing.delete(each);
      if (missing.size === 0) return true;
      for (const parent of this.#parents.get(each) ?? []) known.add(parent);
    }
    return false;
  }
}

/** What several pairs with one peer come to, at least one, in whatever order. */
function united(pairs: Pair[]): Pair {
  const strictest = <T>(order: readonly T[], of: (pair: Pair) => unknown) =>
    order.find((each) => pairs.some((pair) => of(pair) === each))!;
  return {
    ...pairs[0]!,
    state: strictest(["paused", "active", "establishing"] as const, ({ state }) => state),
    mode: strictest(["on-demand", "polling", "continuous"] as const, ({ mode }) => mode),
    interval_s: pairs.reduce((longest, { interval_s }) => Math.max(longest, interval_s), 0),
    threads: pairs.map(({ threads }) => threads).reduce(common),
  };
}

/** The threads of both lists, null being all there are. */
function common(some: Pair["threads"], others: Pair["threads"]): Pair["threads"] {
  if (some === null || others === null) return some ?? others;
  return some.filter((thread) => others.includes(thread));
}

function interval(value: Json | undefined): number | null {
  const fits = Number.isSafeInteger(value) && Number(value) >= POLL_S.least && Number(value) <= POLL_S.most;
  return fits ? Number(value) : null;
}

function isThreads(value: Json | undefined): value is string[] {
  return Array.isArray(value) && value.length <= MAX_THREADS && value.every(isThread);
}
