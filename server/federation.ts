import type { FederationContext } from "../lib/federation/context.ts";
import { Poller, waitOf } from "../lib/federation/poller.ts";
import { Syncs } from "../lib/federation/syncs.ts";
import type { Changes } from "./changes.ts";

/** Syncing of one running instance: by itself with a poller, or on request. */

export function makeSyncs(federation: FederationContext, changes: Changes): Syncs {
  const { random } = federation.instance.ports;
  return new Syncs(federation, {
    onNews: () => changes.announce(),
    wait: (pair, failures) => waitOf(pair, failures, random(1)[0]! / 255),
  });
}

/** Begins to sync by itself; an isolated instance never does. */
export function startPoller(federation: FederationContext, syncs: Syncs): Poller {
  const poller = new Poller(federation, syncs);
  if (!federation.isolated) poller.start();
  return poller;
}
