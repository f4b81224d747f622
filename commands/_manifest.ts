import type { Manifest } from "../lib/bundle/types.ts";
import type { Fact } from "../lib/ui/facts.ts";

/** What a manifest says. */
export function manifestFacts(manifest: Manifest): Fact[] {
  return [
    ["source DID", manifest.source_did],
    ["records", manifest.record_count],
    ["threads", manifest.thread_count],
    ["federation pairs", manifest.federation_pairs],
    ["consent grants", manifest.consent_grants],
    ["identity", manifest.identity],
    ["tokens", manifest.tokens],
    ["records root", manifest.records_root],
    ["bundle sha256", manifest.bundle_sha256],
  ];
}
