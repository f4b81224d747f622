import type { Pair } from "../folds/pairs.ts";
import { foldReserved } from "../instance/reserved.ts";
import { standing } from "../instance/steward.ts";
import type { PeerRow } from "../store/types.ts";
import type { FederationContext } from "./context.ts";
import { putPeerRow } from "./peer_row.ts";
import type { Syncs } from "./syncs.ts";

/** How often the poller looks whether anything is due. */
const TICK_MS = 1000;
/** A peer that fails is asked again after this long at the latest, unless its interval is longer. */
const MOST_MS = 60 * 60 * 1000;
/** The first attempt to take up a stream again. */
const STREAM_AGAIN_MS = 1000;

/**
 * Milliseconds until the next attempt: the pair's interval, doubled with each failure, and up to a quarter more or less
 * so that peers of one that was down do not all come back in the same second.
 * @param chance from 0 to 1
 */
export function waitOf(pair: Pair, failures: number, chance: number): number {
  const interval = pair.interval_s * 1000;
  if (failures === 0) return interval;
  const first = pair.mode === "continuous" ? STREAM_AGAIN_MS : interval;
  const most = Math.max(MOST_MS, interval);
  return Math.round(Math.min(most, first * 2 ** (failures - 1)) * (0.75 + chance / 2));
}

/** Syncs active pairs by themselves: by the clock, or as it happens where the pair is `continuous`. */
export class Poller {
  readonly #busy = new Map<string, { pair: Pair; ended: Promise<void>; stop: AbortController }>();
  #timer: NodeJS.Timeout | undefined;
  #ticking: Promise<void> = Promise.resolve();

  constructor(
    readonly ctx: FederationContext,
    readonly syncs: Syncs,
  ) {}

  /** Begins to look by itself, every second. */
  start(): void {
    this.#timer ??= setInterval(() => {
      this.#ticking = this.#ticking.then(() => this.tick()).catch((error) => this.#failed(error));
    }, TICK_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#ticking;
    for (const { stop } of this.#busy.values()) stop.abort();
    await Promise.all([...this.#busy.values()].map(({ ended }) => ended));
  }

  /** Starts what is due, and ends streams that the operator wants no longer. */
  async tick(): Promise<void> {
    const { pairs, peers } = await this.#look();
    for (const { pair, stop } of this.#busy.values()) {
      const now = pairs.find(({ id }) => id === pair.id);
      if (now?.mode !== pair.mode || now.url !== pair.url) stop.abort();
    }
    for (const pair of pairs) {
      if (pair.mode === "on-demand" || this.#busy.has(pair.id)) continue;
      const peer = peers.get(pair.peer_did);
      if (peer === undefined) await this.#postpone(pair);
      else if (this.#isDue(pair, peer)) this.#begin(pair);
    }
  }

  /** How many syncs and streams are going on. */
  get busy(): number {
    return this.#busy.size;
  }

  /** Active pairs; none while another home is the steward of this identity. */
  #look(): Promise<{ pairs: Pair[]; peers: Map<string, PeerRow> }> {
    const { instance } = this.ctx;
    return instance.store.read(async (reader) => {
      const { state } = await standing(reader, await instance.signer(reader));
      const { pairs } = await foldReserved(instance, reader);
      const active = state === "active" ? pairs.standing().filter((pair) => pair.state === "active") : [];
      return { pairs: active, peers: new Map((await reader.peers()).map((peer) => [peer.did, peer])) };
    });
  }

  /** A stream begins at once; a clock that was set back must not put off a poll for longer than it should take. */
  #isDue(pair: Pair, { failures, lastSync, nextAt }: PeerRow): boolean {
    const now = this.ctx.instance.ports.clock();
    if (failures > 0) return now >= nextAt || nextAt - now > Math.max(MOST_MS, pair.interval_s * 1000) * 1.25;
    if (pair.mode === "continuous" && lastSync !== null) return true;
    const due = lastSync === null ? nextAt : lastSync + pair.interval_s * 1000;
    return now >= due || due - now > pair.interval_s * 1000;
  }

  /** Nothing is known of this pair on this host, as after an import: the first poll waits one interval. */
  #postpone(pair: Pair): Promise<void> {
    const nextAt = this.ctx.instance.ports.clock() + pair.interval_s * 1000;
    return this.ctx.instance.store.transact((writer) =>
      putPeerRow(writer, pair.peer_did, () => ({ nextAt })),
    );
  }

  #begin(pair: Pair): void {
    const stop = new AbortController();
    const work =
      pair.mode === "continuous"
        ? this.syncs.stream(pair, stop.signal)
        : this.syncs.sync(pair, stop.signal).then(() => undefined);
    const ended = work.catch((error) => this.#failed(error)).finally(() => this.#busy.delete(pair.id));
    this.#busy.set(pair.id, { pair, ended, stop });
  }

  #failed(error: unknown): void {
    this.ctx.log("poller-error", { error: String(error) });
  }
}
