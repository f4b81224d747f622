import { malformed, refusal } from "../bundle/malformed.ts";
import { MANIFEST } from "../bundle/members.ts";
import { readBundle } from "../bundle/read.ts";
import type { BundleEvent, Manifest, ReadOptions } from "../bundle/types.ts";
import { InstanceFolds } from "../folds/reserved.ts";
import { DigestSum } from "../record/digest.ts";

export interface Inspection {
  manifest: Manifest;
  /** The instance digest of the bundle's records, 64 hex. */
  digest: string;
  folds: InstanceFolds;
}

export interface InspectOptions extends ReadOptions {
  /** Sees every event as it is verified; may throw to stop reading. */
  onEvent?: (event: BundleEvent) => void | Promise<void>;
}

/**
 * Reads a bundle to its end and checks everything that can be checked without a store, including what the
 * manifest says of pairs and grants.
 * @throws SplError bundle_malformed, verification_failed
 */
export async function inspectBundle(
  input: AsyncIterable<Uint8Array>,
  { onEvent, ...options }: InspectOptions = {},
): Promise<Inspection> {
  const digest = new DigestSum();
  let folds = new InstanceFolds("");
  for await (const event of readBundle(input, options)) {
    if (event.kind === "manifest") folds = new InstanceFolds(event.manifest.source_did);
    if (event.kind === "group") {
      for (const entry of event.entries) digest.add(entry);
      folds.add(event.entries);
    }
    if (event.kind === "end") checkCounts(event.manifest, folds);
    await onEvent?.(event);
    if (event.kind === "end") return { manifest: event.manifest, digest: digest.hex(), folds };
  }
  throw refusal("it ends too early");
}

function checkCounts(manifest: Manifest, folds: InstanceFolds): void {
  const counts = {
    federation_pairs: folds.pairs.unrevoked,
    consent_grants: folds.consent.all().length,
  };
  for (const [name, found] of Object.entries(counts) as [keyof typeof counts, number][]) {
    if (manifest[name] !== found) {
      throw malformed(MANIFEST, `${name} is ${manifest[name]}, but the records hold ${found}`);
    }
  }
}
