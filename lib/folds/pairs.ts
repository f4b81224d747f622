import { MAX_URL } from "../base/limits.ts";
import { isDid, isThread } from "../record/shape.ts";
import type { Json } from "../record/types.ts";
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
 * url?, state?}` opens one; `LEARN {topic: "pair", pair: id, url?, state?, mode?, interval_s?, threads?}` changes it.
 * A revoked pair stays revoked.
 */
export class PairFold {
  readonly #pairs = new Map<string, Pair>();

  add({ entry, act, body }: FoldInput): void {
    if (act !== "LEARN" || text(body, "topic") !== "pair") return;
    const state = PAIR_STATES.find((each) => each === text(body, "state"));
    const url = text(body, "url", MAX_URL);
    const known = this.#pairs.get(text(body, "pair") ?? "");
    const peer = text(body, "peer_did");
    if (known) {
      if (known.state === "revoked") return;
      known.state = state ?? known.state;
      known.url = url ?? known.url;
      known.mode = PAIR_MODES.find((each) => each === text(body, "mode")) ?? known.mode;
      known.interval_s = interval(body.interval_s) ?? known.interval_s;
      if (body.threads === null || isThreads(body.threads)) known.threads = body.threads;
    } else if (isDid(peer)) {
      this.#pairs.set(entry.id, {
        id: entry.id,
        peer_did: peer,
        url,
        state: state ?? "establishing",
        mode: "polling",
        interval_s: POLL_S.default,
        threads: null,
      });
    }
  }

  /** In the order in which they were opened. */
  all(): Pair[] {
    return [...this.#pairs.values()];
  }

  /** Those that are not revoked: what `federation list` shows and the manifest counts. */
  standing(): Pair[] {
    return this.all().filter((pair) => pair.state !== "revoked");
  }
}

function interval(value: Json | undefined): number | null {
  const fits = Number.isSafeInteger(value) && Number(value) >= POLL_S.least && Number(value) <= POLL_S.most;
  return fits ? Number(value) : null;
}

function isThreads(value: Json | undefined): value is string[] {
  return Array.isArray(value) && value.length <= MAX_THREADS && value.every(isThread);
}
