import { SplError } from "../base/errors.ts";
import type { Instance } from "../instance/instance.ts";
import type { Selection } from "../store/types.ts";
import { applyPage, type Link } from "./apply.ts";
import { type CheckedPage, checkPage } from "./check.ts";
import type { ReceivedPage } from "./page.ts";
import { Refusals } from "./refusals.ts";
import { selectionHash } from "./shared.ts";
import type { KeyLookup } from "./signer_keys.ts";

/** Ids that are remembered to be asked for again. */
export const MOST_OWED = 1000;
const NO_LOOKUP: KeyLookup = async () => new Map();

export interface PullOptions {
  /** One thread only, whole; the pair's place in the feed stays as it is. */
  thread?: string;
  /** Ends the pull between two pages. */
  signal?: AbortSignal;
  /** Called when something new is stored. */
  onNews?: () => void;
  /** How signers' keys are looked up; without, only those count that are known or certified. */
  keys?: KeyLookup;
  /** Records that a pull before was owed; they are asked for again. */
  owed?: ReadonlySet<string>;
  /** Compares all, where the place in the feed would do. */
  reconcile?: boolean;
}

/** What a pull did so far. */
export class PullSummary {
  pulled = 0;
  deduplicated = 0;
  readonly refused = new Refusals();
  /** Ids of those whose signer could not be looked up, the first 1,000. */
  readonly owed = new Set<string>();
  /** Of the answers' bodies. */
  bytes = 0;
  /** Requests that were answered. */
  rounds = 0;
}

/** Takes in the pages of one peer, one after another. */
export class Intake {
  /** Threads that turned out to be private on the way. */
  readonly #closed = new Set<string>();
  #undone = 0;

  constructor(
    readonly instance: Instance,
    readonly pair: { id: string; peer_did: string },
    readonly options: PullOptions,
    /** What is brought up to date. */
    public summary: PullSummary,
  ) {}

  /** To be told what holds when it is read where the feed goes on. */
  begin({ undone }: Link): void {
    this.#undone = undone;
  }

  /**
   * Checks all that a page itself tells.
   * @param asked ids that were asked for, where that is so
   */
  check(page: ReceivedPage, asked: ReadonlySet<string> | null = null): Promise<CheckedPage> {
    const { keys = NO_LOOKUP } = this.options;
    return checkPage(this.instance.store, this.pair.peer_did, page, keys, asked);
  }

  /**
   * Stores what holds of a checked page, together with where the next begins.
   * @param cursor where the next page begins; null keeps what is known of that
   */
  async store(checked: CheckedPage, cursor: string | null): Promise<void> {
    const { instance, pair, options, summary } = this;
    const kept = options.thread === undefined ? cursor : null;
    const bound = kept === null ? null : (link: Link) => this.bind(kept, link);
    const result = await applyPage(instance, pair, checked, this.#closed, bound);
    summary.pulled += result.inserted;
    summary.deduplicated += result.deduplicated + result.replaced;
    summary.refused.addAll(checked.refused);
    for (const id of checked.owed) if (summary.owed.size < MOST_OWED) summary.owed.add(id);
    if (result.inserted + result.replaced > 0) options.onNews?.();
  }

  /** A cursor as it is kept. @throws SplError sync_failed after a rollback since `begin` */
  bind(cursor: string, { shared, undone }: Link): string {
    if (undone === this.#undone) return boundCursor(cursor, shared);
    throw new SplError("sync_failed", "this instance was rolled back meanwhile", {
      hint: "the next sync begins anew",
    });
  }
}

/** A cursor is kept with what was shared when it came: under another consent, what was passed over has to be asked for. */
export function boundCursor(cursor: string, shared: Selection): string {
  return `${selectionHash(shared)}.${cursor}`;
}

/** The cursor in what `boundCursor` wrote, or null when it was for something else. */
export function cursorIn(kept: string | null, shared: Selection): string | null {
  const own = `${selectionHash(shared)}.`;
  return kept?.startsWith(own) ? kept.slice(own.length) : null;
}
