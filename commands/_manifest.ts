import type { Manifest } from "../lib/bundle/types.ts";

/** What a manifest says, one fact a line. */
export function manifestLines(manifest: Manifest): string {
  const rows: [string, string | number][] = [
    ["source DID:", manifest.source_did],
    ["records:", manifest.record_count],
    ["threads:", manifest.thread_count],
    ["federation pairs:", manifest.federation_pairs],
    ["consent grants:", manifest.consent_grants],
    ["identity:", manifest.identity],
    ["tokens:", manifest.tokens],
    ["records root:", manifest.records_root],
    ["bundle sha256:", manifest.bundle_sha256],
  ];
  return rows.map(([name, value]) => `  ${name.padEnd(17)} ${value}\n`).join("");
}
