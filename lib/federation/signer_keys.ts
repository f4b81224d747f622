import { didWebUrl } from "../identity/did.ts";
import type { FederationContext } from "./context.ts";
import { resolveDid } from "./resolve.ts";

/** Finds the keys of signers whose DIDs do not certify any; who is not in the answer has none that is proven. */
export type KeyLookup = (dids: Iterable<string>) => Promise<Map<string, Uint8Array>>;

/** DIDs that are asked for one page, and for one peer within a minute: a page could name a thousand hosts. */
const MOST_PER_PAGE = 16;
const MOST_PER_MINUTE = 64;
const AT_ONCE = 8;
/** How long a document holds before it is asked for again, if its signer is not in the store by then. */
const KEPT_MS = 60 * 60 * 1000;
/** After a failure; doubled with each further one up to an hour. */
const AGAIN_MS = 10_000;
const MOST_AGAIN_MS = 60 * 60 * 1000;
const REMEMBERED = 10_000;

interface Answer {
  key: Uint8Array | null;
  /** Not asked again before, Unix milliseconds. */
  until: number;
  failures: number;
}

/** Asks `did:web` for keys, within bounds, and remembers what it was told. */
export class SignerKeys {
  readonly #answers = new Map<string, Answer>();
  /** When each peer's pages made this instance ask somebody, within the last minute. */
  readonly #asked = new Map<string, number[]>();

  constructor(readonly ctx: FederationContext) {}

  /** A lookup for the pages of one peer. One that is ended by its signal finds what it has found so far. */
  of(peer: string, signal?: AbortSignal): KeyLookup {
    return async (dids) => {
      const keys = new Map<string, Uint8Array>();
      const open = [...new Set(dids)].filter((did) => didWebUrl(did) !== null && !this.#recall(did, keys));
      const allowed = open.slice(0, this.#allowance(peer, Math.min(open.length, MOST_PER_PAGE)));
      while (allowed.length > 0 && !signal?.aborted) {
        const batch = allowed.splice(0, AT_ONCE);
        await Promise.all(batch.map((did) => this.#ask(did, signal)));
        for (const did of batch) this.#recall(did, keys);
      }
      return keys;
    };
  }

  /** Whether there is no need to ask; the key is put to the others if it is known. */
  #recall(did: string, keys: Map<string, Uint8Array>): boolean {
    const answer = this.#answers.get(did);
    if (answer === undefined || answer.until <= this.#now()) return false;
    if (answer.key !== null) keys.set(did, answer.key);
    return true;
  }

  async #ask(did: string, signal: AbortSignal | undefined): Promise<void> {
    const { failures = 0 } = this.#answers.get(did) ?? {};
    const key = await resolveDid(this.ctx, did, signal).then(
      ({ publicKey }) => publicKey,
      () => null,
    );
    if (signal?.aborted) return;
    const wait = key === null ? Math.min(AGAIN_MS * 2 ** failures, MOST_AGAIN_MS) : KEPT_MS;
    this.#answers.delete(did);
    this.#answers.set(did, { key, until: this.#now() + wait, failures: key === null ? failures + 1 : 0 });
    if (this.#answers.size > REMEMBERED) this.#answers.delete(this.#answers.keys().next().value!);
  }

  /** How many of so many may be asked for a peer now; they count as asked. */
  #allowance(peer: string, wanted: number): number {
    const now = this.#now();
    const lately = (this.#asked.get(peer) ?? []).filter((at) => at > now - 60_000 && at <= now);
    const granted = Math.min(wanted, MOST_PER_MINUTE - lately.length);
    for (let n = 0; n < granted; n++) lately.push(now);
    this.#asked.set(peer, lately);
    return granted;
  }

  #now(): number {
    return this.ctx.instance.ports.clock();
  }
}
