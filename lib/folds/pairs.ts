import { MAX_URL } from "../base/limits.ts";
import { isDid } from "../record/shape.ts";
import type { FoldInput } from "./input.ts";
import { text } from "./threads.ts";

const PAIR_STATES = ["establishing", "active", "paused", "revoked"] as const;
export type PairState = (typeof PAIR_STATES)[number];

export interface Pair {
  /** Id of the record that opened the pair: it stays the same on every host. */
  id: string;
  peer_did: string;
  url: string | null;
  state: PairState;
}

/**
 * Standing relationships with other instances, from `th_federation_pairs`. `LEARN {topic: "pair", peer_did,
 * url?, state?}` opens one; `LEARN {topic: "pair", pair: id, url?, state?}` changes it. A revoked pair stays
 * revoked.
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
    } else if (isDid(peer)) {
      this.#pairs.set(entry.id, { id: entry.id, peer_did: peer, url, state: state ?? "establishing" });
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
