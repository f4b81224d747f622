import type { Entry } from "../record/types.ts";
import { ActorFold } from "./actors.ts";
import { ConsentFold } from "./consent.ts";
import { DeviceFold } from "./devices.ts";
import { foldInput } from "./input.ts";
import { PairFold } from "./pairs.ts";
import { OriginFold } from "./trust.ts";

/** Threads that hold an instance's own state; they travel in bundles and never by sync (spec, section 2). */
export const RESERVED_THREADS = {
  config: "th_engine_config",
  actors: "th_actor_registry",
  pairs: "th_federation_pairs",
  consent: "th_consent",
  devices: "th_devices",
} as const;

const RESERVED: ReadonlySet<string> = new Set(Object.values(RESERVED_THREADS));

export function isReserved(thread: string): boolean {
  return RESERVED.has(thread);
}

/**
 * The folds over the reserved threads of the instance `did`. Only records that this DID signed count. Feed records in canonical order.
 */
export class InstanceFolds {
  readonly actors = new ActorFold();
  readonly origins = new OriginFold();
  readonly pairs = new PairFold();
  readonly consent = new ConsentFold();
  readonly devices = new DeviceFold();

  constructor(readonly did: string) {}

  /** Entries of other threads pass without effect. */
  add(entries: Entry[]): void {
    for (const entry of entries) {
      if (entry.thread === RESERVED_THREADS.pairs) this.pairs.place(entry);
      if (entry.signer !== this.did) continue;
      if (entry.thread === RESERVED_THREADS.pairs) this.pairs.add(foldInput(entry));
      else if (entry.thread === RESERVED_THREADS.consent) this.consent.add(foldInput(entry));
      else if (entry.thread === RESERVED_THREADS.actors) {
        const input = foldInput(entry);
        this.actors.add(input);
        this.origins.add(input);
      } else if (entry.thread === RESERVED_THREADS.devices) this.devices.add(foldInput(entry));
    }
  }
}
