import { SplError } from "../base/errors.ts";
import type { Pair } from "../folds/pairs.ts";
import type { PeerRow } from "../store/types.ts";
import type { FederationContext } from "./context.ts";
import { follow } from "./follow.ts";
import { MOST_OWED, type PullOptions, PullSummary } from "./intake.ts";
import { callPeer } from "./link.ts";
import { putPeerRow } from "./peer_row.ts";
import { SignerKeys } from "./signer_keys.ts";
import { type PeerCall, pull } from "./sync.ts";

/** How one sync with one peer went. Names are those of the JSON output. */
export interface SyncOutcome {
  id: string;
  peer_did: string;
  pulled: number;
  deduplicated: number;
  /** Counts by reason. */
  refused: Record<string, number>;
  /** The first few that were refused. */
  refused_ids: string[];
  /** Of the peer's answers. */
  bytes: number;
  /** Requests to the peer. */
  rounds: number;
  took_ms: number;
  /** Null when it went through. */
  failure: { code: string; message: string; hint: string | null } | null;
}

export interface SyncPorts {
  /** Called when something new is stored. */
  onNews: () => void;
  /** Milliseconds until the next attempt by itself, after so many failures. */
  wait: (pair: Pair, failures: number) => number;
  /** How peers are called; `callPeer` unless a test says otherwise. */
  call?: (pair: Pair) => PeerCall;
}

/** What a pull that succeeds has to make up for. */
interface Open {
  /** Records that came, and whose signers could not be looked up. */
  owed: ReadonlySet<string>;
  /** Compare all: the process before was refused something, and what that was is not known. */
  reconcile: boolean;
}

/** Syncs with peers, keeping what is local to this host: when it went well last, what is wrong, when to try again. */
export class Syncs {
  readonly #running = new Map<string, Promise<SyncOutcome>>();
  readonly #keys: SignerKeys;
  /** By pair, once this process has asked the peer. */
  readonly #open = new Map<string, Open>();

  constructor(
    readonly ctx: FederationContext,
    readonly ports: SyncPorts,
  ) {
    this.#keys = new SignerKeys(ctx);
  }

  /** Pulls all that is shared from the peer. While that is going on already, its outcome is waited for. Never throws. */
  sync(pair: Pair, signal?: AbortSignal): Promise<SyncOutcome> {
    const running = this.#running.get(pair.id);
    if (running) return running;
    const started = this.#syncAll(pair, signal).finally(() => this.#running.delete(pair.id));
    this.#running.set(pair.id, started);
    return started;
  }

  /** Pulls one thread. Never throws. */
  syncThread(pair: Pair, thread: string): Promise<SyncOutcome> {
    return this.#sync(pair, { thread });
  }

  /**
   * Pulls all, then stores what comes as it happens, until the stream ends; then it is time to try again.
   * Never throws.
   */
  async stream(pair: Pair, signal: AbortSignal): Promise<void> {
    const { store } = this.ctx.instance;
    const before = (await store.read((reader) => reader.peer(pair.peer_did)))?.failures ?? 0;
    const first = await this.sync(pair, signal);
    if (first.failure !== null || signal.aborted) return;
    // A stream that breaks before it brought anything counts on, although the pull before it went well.
    let failures = before;
    const options = { signal, onNews: this.ports.onNews, keys: this.#keys.of(pair.peer_did, signal) };
    try {
      await follow(this.ctx.instance, pair, this.#call(pair), options, ({ refused, owed }) => {
        failures = 0;
        this.#owe(pair, owed);
        return this.#keep(pair, refused.told());
      });
      if (!signal.aborted) await this.#fail(pair, "the peer ended the stream", failures);
    } catch (error) {
      if (!signal.aborted) await this.#fail(pair, lineOf(told(error)), failures);
    }
  }

  async #syncAll(pair: Pair, signal: AbortSignal | undefined): Promise<SyncOutcome> {
    let open = this.#open.get(pair.id);
    if (open === undefined) {
      const row = await this.ctx.instance.store.read((reader) => reader.peer(pair.peer_did));
      const refused = row !== null && row.failures === 0 && row.problem !== null;
      open = { owed: new Set(), reconcile: refused };
      this.#open.set(pair.id, open);
    }
    return this.#sync(pair, { ...open, ...(signal && { signal }) });
  }

  async #sync(pair: Pair, options: PullOptions): Promise<SyncOutcome> {
    const { instance, log } = this.ctx;
    const began = performance.now();
    const summary = new PullSummary();
    let failure: SyncOutcome["failure"] = null;
    try {
      const keys = this.#keys.of(pair.peer_did, options.signal);
      const asked = { ...options, onNews: this.ports.onNews, keys };
      await pull(instance, pair, this.#call(pair), asked, summary);
      if (options.thread === undefined) {
        this.#open.set(pair.id, { owed: summary.owed, reconcile: false });
        await this.#keep(pair, summary.refused.told());
      }
    } catch (error) {
      const refusal = told(error);
      const { code, message, hint = null } = refusal;
      failure = { code, message, hint };
      if (options.thread === undefined) this.#owe(pair, summary.owed);
      if (code === "internal") log("sync-error", { peer: pair.peer_did, error: String(error) });
      if (options.thread === undefined && !options.signal?.aborted) await this.#fail(pair, lineOf(refusal));
    }
    const { pulled, deduplicated, refused, bytes, rounds } = summary;
    const took_ms = Math.round(performance.now() - began);
    if (failure !== null || pulled > 0 || refused.total > 0) {
      const problem = failure?.message ?? refused.told();
      log("sync", { peer: pair.peer_did, pulled, refused: refused.total, ms: took_ms, problem });
    }
    const { id, peer_did } = pair;
    const refusals = { refused: { ...refused.counts }, refused_ids: refused.ids };
    return { id, peer_did, pulled, deduplicated, ...refusals, bytes, rounds, took_ms, failure };
  }

  #owe({ id }: Pair, more: ReadonlySet<string>): void {
    const open = this.#open.get(id);
    if (open) this.#open.set(id, { ...open, owed: new Set([...open.owed, ...more].slice(0, MOST_OWED)) });
  }

  #call(pair: Pair): PeerCall {
    return this.ports.call?.(pair) ?? ((request) => callPeer(this.ctx, pair, request));
  }

  /** It went well, apart from records that were refused: they leave the pair degraded until a sync without any. */
  #keep(pair: Pair, problem: string | null): Promise<void> {
    const now = this.ctx.instance.ports.clock();
    const nextAt = now + this.ports.wait(pair, 0);
    return this.#row(pair, () => ({ lastSync: now, failures: 0, nextAt, problem }));
  }

  /** @param before failures in a row until now; what is kept of them unless given */
  #fail(pair: Pair, problem: string, before?: number): Promise<void> {
    const now = this.ctx.instance.ports.clock();
    return this.#row(pair, (row) => {
      const failures = (before ?? row.failures) + 1;
      return { failures, nextAt: now + this.ports.wait(pair, failures), problem };
    });
  }

  #row({ peer_did }: Pair, change: (before: PeerRow) => Partial<PeerRow>): Promise<void> {
    return this.ctx.instance.store.transact((writer) => putPeerRow(writer, peer_did, change));
  }
}

function told(error: unknown): SplError {
  if (error instanceof SplError) return error;
  return new SplError("internal", "internal error: the log says more", { cause: error });
}

/** What is wrong with a pair, with what to do about it. */
function lineOf({ message, hint }: SplError): string {
  return hint === undefined ? message : `${message}; ${hint}`;
}
