import { statSync } from "node:fs";
import { lastVerified } from "../lib/backup/last_verified.ts";
import type { Env } from "../lib/backup/places.ts";
import { VERSION } from "../lib/base/version.ts";
import { lastReceipt } from "../lib/drill/receipts.ts";
import { listPairs, shownState } from "../lib/instance/federation.ts";
import { status } from "../lib/instance/status.ts";
import type { AppContext } from "./context.ts";
import { type Family, single } from "./exposition.ts";

const STATES = ["active", "superseded", "revoked"] as const;
const PAIR_STATES = ["establishing", "active", "paused", "degraded"] as const;
/** How much of a pair's id names it; as much as `spl federation list` shows. */
const SHORT_ID = 12;

/** What `GET /metrics` tells, at this moment. */
export async function metricFamilies(ctx: AppContext): Promise<Family[]> {
  const { instance } = ctx;
  const now = instance.ports.clock();
  const { instance_did, records, threads, forks, state, digest } = await status(instance);
  // A stranger that asks to be paired has no labels of its own.
  const pairs = (await listPairs(instance)).filter(({ approval }) => approval !== "here");
  const conditions = pairs.map(shownState);
  const synced = pairs.filter(({ last_sync }) => last_sync !== null);
  return [
    {
      name: "spl_build_info",
      type: "gauge",
      help: "The running version.",
      samples: [{ labels: { version: VERSION }, value: 1 }],
    },
    single(
      "spl_uptime_seconds",
      "gauge",
      "Time since the instance started.",
      Math.max(0, now - ctx.startedAt) / 1000,
    ),
    single(
      "process_resident_memory_bytes",
      "gauge",
      "Resident memory of the process.",
      process.memoryUsage.rss(),
    ),
    {
      name: "spl_state",
      type: "gauge",
      help: "1 for the state that the instance is in.",
      samples: STATES.map((each) => ({ labels: { state: each }, value: Number(each === state) })),
    },
    single("spl_records", "gauge", "Records in the store.", records),
    single("spl_threads", "gauge", "Threads in the store.", threads),
    single(
      "spl_digest_changed_timestamp_seconds",
      "gauge",
      "When the digest changed last, as far as scrapes saw it; before the first one, when the store was written last.",
      ctx.metrics.digestSeen(digest, now, writtenAt(instance.paths.db)) / 1000,
    ),
    single("spl_forks", "gauge", "Records that claim a position which another record has.", forks),
    {
      name: "spl_store_bytes",
      type: "gauge",
      help: "Size of the store and of its write-ahead log.",
      samples: [
        { labels: { file: "db" }, value: sizeOf(instance.paths.db) },
        { labels: { file: "wal" }, value: sizeOf(`${instance.paths.db}-wal`) },
      ],
    },
    {
      name: "spl_pairs",
      type: "gauge",
      help: "Pairs by state; an active pair whose last sync failed is degraded.",
      samples: PAIR_STATES.map((each) => ({
        labels: { state: each },
        value: conditions.filter((one) => one === each).length,
      })),
    },
    {
      name: "spl_sync_age_seconds",
      type: "gauge",
      help: "Time since the last sync with a pair that succeeded on this host.",
      samples: synced.map(({ id, last_sync }) => ({
        labels: { pair: id.slice(0, SHORT_ID) },
        value: Math.max(0, now - Date.parse(last_sync!)) / 1000,
      })),
    },
    ...proofs(ctx.env, instance_did),
    single("spl_open_streams", "gauge", "Streams that are open, in or out.", ctx.sessions.streams),
    ...ctx.metrics.families(),
  ];
}

/** What shows that this instance can come back, as far as this machine knows. */
function proofs(env: Env, did: string): Family[] {
  const [backup, drill] = [lastVerified(env, did), lastReceipt(env, did)];
  return [
    ...(backup === null
      ? []
      : [
          single(
            "spl_backup_last_verified_timestamp_seconds",
            "gauge",
            "When the newest backup that proved sound was taken.",
            Date.parse(backup.taken_at) / 1000,
          ),
        ]),
    ...(drill === null
      ? []
      : [
          single(
            "spl_drill_last_good_timestamp_seconds",
            "gauge",
            "When the last good drill began.",
            Date.parse(drill.at) / 1000,
          ),
          single(
            "spl_drill_recovery_seconds",
            "gauge",
            "How long coming back took in the last good drill.",
            drill.recovered_ms / 1000,
          ),
        ]),
  ];
}

/** When a store or its write-ahead log was written last, Unix milliseconds. */
function writtenAt(db: string): number {
  const times = [db, `${db}-wal`].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return Math.max(...times);
}

/** 0 where there is no such file. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
