import type { Env } from "../lib/backup/places.ts";
import type { FederationContext } from "../lib/federation/context.ts";
import type { RequestVerifier } from "../lib/federation/http_signature.ts";
import type { Syncs } from "../lib/federation/syncs.ts";
import type { Attempts } from "../lib/instance/attempts.ts";
import type { Instance } from "../lib/instance/instance.ts";
import type { BundleJobs } from "./bundle_jobs.ts";
import type { Changes } from "./changes.ts";
import type { Log } from "./log.ts";
import type { PeerStreams } from "./peer_streams.ts";
import type { RequestMetrics } from "./request_metrics.ts";
import type { Sessions } from "./sessions.ts";
import type { HostPolicy } from "./stages/host.ts";
import type { Pace } from "./stages/pace.ts";
import type { StewardWatch } from "./steward.ts";

/** What the routes of one running instance share. */
export interface AppContext {
  instance: Instance;
  jobs: BundleJobs;
  changes: Changes;
  sessions: Sessions;
  attempts: Attempts;
  pace: Pace;
  metrics: RequestMetrics;
  log: Log;
  /** The public URL, else the bound address. */
  url: string;
  hosts: HostPolicy;
  /** Every request from this machine has all rights, without a token. */
  insecureLocalhost: boolean;
  federation: FederationContext;
  syncs: Syncs;
  /** Checks what peers have signed, and that they signed it once. */
  signatures: RequestVerifier;
  /** Those that peers follow this instance by. */
  peerStreams: PeerStreams;
  steward: StewardWatch;
  /** Serves the directory: the highest statement of any DID (spec, section 3). */
  servesDirectory: boolean;
  /** Says where this machine keeps backups, the receipts of drills, and copies of what rollbacks remove. */
  env: Env;
  /** Unix milliseconds. */
  startedAt: number;
  /** Aborts when the instance begins to stop: streams that would never end, end. */
  stopping: AbortSignal;
}
