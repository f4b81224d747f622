import { MAX_LABEL } from "../base/limits.ts";
import { isDid } from "../record/shape.ts";
import type { Entry, JsonObject } from "../record/types.ts";
import { type FoldInput, foldInput } from "./input.ts";
import { text } from "./threads.ts";

/**
 * How far an actor's work can be relied on, folded from what others say came of it:
 * `KNOW {topic: "outcome", subject: DID, domain?, success: bool, at: ISO 8601}` on any thread.
 * `domain` is `general` unless given. The score is the lower bound of the Wilson interval at 95 % over all outcomes and
 * a prior of 7 successes in 10, where an outcome's weight halves every 30 days.
 */

/** What an actor of whom nothing is known starts from. */
const PRIOR = { successes: 7, outcomes: 10 };
/** The 97.5th percentile of the normal distribution: 95 % two-sided. */
const Z = 1.959963984540054;
const HALF_LIFE_MS = 30 * 24 * 60 * 60 * 1000;
/** An outcome further ahead than clocks differ does not count yet: it would never grow old. */
const MAX_AHEAD_MS = 24 * 60 * 60 * 1000;
const DEFAULT_DOMAIN = "general";

export interface Outcome {
  subject: string;
  domain: string;
  success: boolean;
  /** Unix milliseconds. */
  at: number;
}

export interface Trust {
  actor: string;
  domain: string;
  /** 0 to 1. */
  trust: number;
  outcomes: number;
  successes: number;
  /** What the outcomes weigh together by now, the prior's 10 aside. */
  weight: number;
}

/**
 * Lower bound of the Wilson score interval at 95 % (E. B. Wilson, 1927) of `successes` in `outcomes`, both of which may
 * be fractions; `outcomes` is above 0.
 */
export function wilsonLowerBound(successes: number, outcomes: number): number {
  const share = successes / outcomes;
  const spread = Math.sqrt((share * (1 - share)) / outcomes + (Z / (2 * outcomes)) ** 2);
  return (share + Z ** 2 / (2 * outcomes) - Z * spread) / (1 + Z ** 2 / outcomes);
}

/** The score of an actor without any outcome. */
export const UNKNOWN_TRUST = wilsonLowerBound(PRIOR.successes, PRIOR.outcomes);

/** What a record says came of an actor's work, or null when it says nothing of the kind. */
export function readOutcome(entry: Entry): Outcome | null {
  // Most records are none, and need not be parsed for it: canonical JSON has one spelling.
  if (!bytesOf(entry).includes('"topic":"outcome"')) return null;
  const { act, body } = foldInput(entry);
  const subject = text(body, "subject");
  const at = timeOf(body);
  if (act !== "KNOW" || text(body, "topic") !== "outcome" || !isDid(subject) || at === null) return null;
  const domain = Object.hasOwn(body, "domain") ? text(body, "domain", MAX_LABEL) : DEFAULT_DOMAIN;
  const success = Object.hasOwn(body, "success") ? body.success : null;
  return domain && typeof success === "boolean" ? { subject, domain, success, at } : null;
}

/**
 * Trust by actor and domain as the instance `did` sees it. A name alone is no proof (spec, section 2): an outcome speaks
 * of the actor whom its signer knows by that name. It counts when this instance signed it, or one from which the actor was
 * taken in, as much as was agreed then. What an actor says of itself does not count, whoever signed it.
 */
export class TrustFold {
  readonly #sums = new Map<string, Trust & { good: number }>();

  /** @param now Unix milliseconds */
  constructor(
    readonly did: string,
    readonly origins: OriginFold,
    readonly now: number,
  ) {}

  /** Whether outcomes of this signer count for the actor. */
  counts(actor: string, signer: string): boolean {
    return this.#weightOf(actor, signer) > 0;
  }

  /** In any order. */
  add(entry: Entry): void {
    const outcome = readOutcome(entry);
    if (outcome === null || outcome.subject === entry.actor) return;
    const { subject, domain, success, at } = outcome;
    const factor = this.#weightOf(subject, entry.signer);
    if (factor === 0 || at > this.now + MAX_AHEAD_MS) return;
    const weight = factor * 0.5 ** (Math.max(0, this.now - at) / HALF_LIFE_MS);
    const name = `${subject} ${domain}`;
    const sum = this.#sums.get(name) ?? {
      actor: subject,
      domain,
      trust: 0,
      outcomes: 0,
      successes: 0,
      weight: 0,
      good: 0,
    };
    this.#sums.set(name, sum);
    sum.outcomes++;
    sum.weight += weight;
    if (success) {
      sum.successes++;
      sum.good += weight;
    }
  }

  /** By actor, then domain. */
  result(): Trust[] {
    return [...this.#sums]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { good, ...sum }]) => ({
        ...sum,
        trust: wilsonLowerBound(PRIOR.successes + good, PRIOR.outcomes + sum.weight),
      }));
  }

  #weightOf(actor: string, signer: string): number {
    return signer === this.did ? 1 : (this.origins.of(actor).get(signer) ?? 0);
  }
}

/**
 * Where actors came from, from `th_actor_registry`: `LEARN {topic: "actor-origin", actor, from: DID, weight}` says that the
 * actor is the one whom the instance `from` knew by that name, and how much its outcomes count here, from 0 to 1. The
 * last one of a pair counts.
 */
export class OriginFold {
  readonly #origins = new Map<string, Map<string, number>>();

  add({ act, body }: FoldInput): void {
    const actor = text(body, "actor");
    const from = text(body, "from");
    const weight = Object.hasOwn(body, "weight") ? body.weight : null;
    if (act !== "LEARN" || text(body, "topic") !== "actor-origin" || !isDid(actor) || !isDid(from)) return;
    if (typeof weight !== "number" || weight < 0 || weight > 1) return;
    const known = this.#origins.get(actor);
    if (known) known.set(from, weight);
    else this.#origins.set(actor, new Map([[from, weight]]));
  }

  /** What the outcomes of other instances count for this actor, by their DID. */
  of(actor: string): ReadonlyMap<string, number> {
    return this.#origins.get(actor) ?? NOWHERE;
  }
}

const NOWHERE: ReadonlyMap<string, number> = new Map();

function bytesOf({ canonical }: Entry): Buffer {
  return Buffer.from(canonical.buffer, canonical.byteOffset, canonical.byteLength);
}

/** ISO 8601 with its zone, as `at` is written; other spellings would be read by the machine's own zone. */
function timeOf(body: JsonObject): number | null {
  const at = text(body, "at", MAX_LABEL);
  const time = at !== null && /T.*(?:Z|[+-]\d\d:\d\d)$/.test(at) ? Date.parse(at) : Number.NaN;
  return Number.isNaN(time) ? null : time;
}
